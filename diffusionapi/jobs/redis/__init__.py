"""Jobs in a Redis, shared by any number of servers and workers on any number of machines."""
