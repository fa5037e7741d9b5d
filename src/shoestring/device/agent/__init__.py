"""The agent of a device: asks the fleet's repository what to run, fetches it, puts it into the slots, and tells."""
