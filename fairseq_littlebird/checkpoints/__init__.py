"""Pretrained encoders of other formats, and LittleBird models that start from them (section 3.4, step 1)."""
