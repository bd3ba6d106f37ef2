"""Pretrained models of other formats to ours and back: one adapter a family; warm starts (section 3.4, step 1)."""
