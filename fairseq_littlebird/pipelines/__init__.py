"""A trained model over a split, or over texts in memory; ``LittleBird`` is the face of all."""
