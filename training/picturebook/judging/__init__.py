"""Judges what a picture of the world shows, from the picture alone."""
