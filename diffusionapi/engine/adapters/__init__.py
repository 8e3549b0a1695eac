"""What is added to a loaded model and can be taken away again: LoRAs."""
