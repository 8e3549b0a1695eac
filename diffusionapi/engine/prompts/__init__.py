"""From a prompt as people write it to what the denoiser is given: grammar, chunks, encoding, timeline."""
