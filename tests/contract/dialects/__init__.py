"""One file for each dialect; a new one is found by itself."""
