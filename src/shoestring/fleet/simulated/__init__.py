"""A fleet of thousands of devices in virtual time, with the production rules of devices and workshop."""
