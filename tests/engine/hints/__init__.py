"""What is read from pictures for ControlNets."""
