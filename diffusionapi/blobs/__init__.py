"""Bytes in, bytes out, by name: finished pictures, what clients gave, what comes of trainings."""
