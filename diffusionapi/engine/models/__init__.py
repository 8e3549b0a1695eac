"""Loads models and keeps them. Only `load` and `cache` and below need torch."""
