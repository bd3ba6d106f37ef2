"""Official scores, one file a benchmark, with nothing but the standard library."""
