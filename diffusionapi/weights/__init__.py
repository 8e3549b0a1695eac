"""What lies in files of weights, told from headers and configurations: no tensor is read, no torch needed."""
