"""What ControlNets want to see, read from ordinary pictures: edges, lines, depth, poses (`core.hints`)."""
