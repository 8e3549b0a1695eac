"""Prompts in any language, told in English by models that are installed."""
