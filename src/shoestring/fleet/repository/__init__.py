"""The signed metadata of a fleet, by python-tuf's metadata API. Ask `fleet.extras.check_extras` before importing it."""
