"""What renders. The only package that may import torch and diffusers; importing it imports neither."""
