"""The backlog dialect: requests wait in a backlog, are polled, or call the client's server back."""
