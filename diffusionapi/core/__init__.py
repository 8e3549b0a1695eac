"""Plain frozen data and pure functions: what a job is, said once, for every other part."""
