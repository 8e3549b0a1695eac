"""A self-hosted Stable Diffusion server: one queue, one engine, many APIs."""

__version__ = "0.1.0"
