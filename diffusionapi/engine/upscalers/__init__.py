"""What makes pictures larger between the two passes of hires fix: interpolation, Pillow, networks."""
