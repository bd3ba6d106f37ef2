"""From hidden states to answers: decoding spans, merging windows, prediction files."""
