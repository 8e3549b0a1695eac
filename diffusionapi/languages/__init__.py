"""In which language a prompt is, and which parts of it are words at all; no torch."""
