"""Time and memory, side by side with what a user would otherwise pick, and beside the machine's own limit."""
