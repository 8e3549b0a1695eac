"""What is installed, by name: models and their labels, LoRAs, upscalers."""
