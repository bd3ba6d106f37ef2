"""Several workers: who they are, what stops them, and where they go on."""
