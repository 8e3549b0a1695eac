"""ControlNets (Zhang et al. 2023, arXiv:2302.05543): pictures hold a new one to their lines or poses."""
