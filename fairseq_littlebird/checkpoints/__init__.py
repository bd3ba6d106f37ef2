"""Checkpoints of fairseq: their files, the dictionary that they were trained with, their version."""
