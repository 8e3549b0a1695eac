"""Finds models on disk, says what they are, and loads them. Only `load` and `cache` and below need torch."""
