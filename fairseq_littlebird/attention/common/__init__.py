"""What the attention of several families shares."""
