"""The encoder in plain PyTorch: layers, embeddings, stack."""
