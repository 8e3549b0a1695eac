"""Where jobs are kept: one contract (store.py), its variants beside it."""
