"""Claims jobs, feeds the engine, writes progress, enforces limits, survives crashes."""
