"""Faces in pictures: found, painted anew, and set back."""
