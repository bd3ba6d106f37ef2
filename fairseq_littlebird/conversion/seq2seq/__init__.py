"""Pretrained encoder–decoders of other formats to ours and back: one adapter a family; warm starts from them."""
