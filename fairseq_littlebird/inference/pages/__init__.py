"""Predictions as HTML pages: a question each, its answer and evidence marked in the document, and an index.

A page needs nothing but itself: no script, no font, no picture, and its policy forbids to load any. All text is
escaped. Its size is bounded whatever the document's.
"""
