"""Pictures made from pictures: brought to size, masked, noised, held where they stay, and set back."""
