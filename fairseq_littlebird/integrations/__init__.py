"""Models of this package as components of other programs, each of which is an extra of its own."""
