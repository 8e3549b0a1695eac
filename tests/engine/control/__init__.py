"""ControlNets in the running loop."""
