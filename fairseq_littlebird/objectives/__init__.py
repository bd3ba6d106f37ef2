"""Losses as functions on tensors; needs torch alone."""
