"""Teaches a model: a LoRA is learnt from a few pictures, and the model itself stays as it is."""
