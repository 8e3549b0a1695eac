"""Servers and workers as real processes on one Redis, as machines would share it."""
