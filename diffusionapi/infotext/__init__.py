"""What a picture's file says of how it was made: the text and its grammar, and where in a file it stands."""
