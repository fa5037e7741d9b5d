"""Rewrites of a program. Each states what it requires and what it ensures; all keep the form's rules (`check`)."""
