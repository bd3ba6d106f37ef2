"""A question-answering model over HTTP: a page for people, JSON for programs."""
