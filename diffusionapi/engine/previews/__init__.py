"""What a picture looks like while it is drawn: made beside the drawing, never in its way."""
