"""Attention as modules that own their projections, one a family."""
