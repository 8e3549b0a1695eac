"""The streaming dialect: one socket, one picture, a frame for every step."""
