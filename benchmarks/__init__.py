"""How fast the product is, measured; `scripts/bench` runs it, docs/performance.md explains it."""
