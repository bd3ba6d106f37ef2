"""Text to tokens with character offsets, questions to records; no torch, no fairseq."""
