"""What stands on the encoder's hidden states; needs torch alone."""
