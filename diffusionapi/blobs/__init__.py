"""Bytes in, bytes out, by name: finished pictures."""
