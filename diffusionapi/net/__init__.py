"""The way out to addresses that strangers chose, without being led to where only we can go."""
