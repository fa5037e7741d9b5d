"""As a service of the system: what the service manager is told, and what it is asked to keep."""
