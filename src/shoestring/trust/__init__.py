"""Keys, signatures, and the client of signed repositories. Light enough for a device."""
