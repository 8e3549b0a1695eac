"""The same ten stories for every dialect, told to a real server."""
