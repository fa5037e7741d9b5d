"""What a model that writes text costs, from its header: memory by context, and how fast it reads and writes."""
