"""Who is calling, and what they may do: users, passwords, tokens. Knows nothing of the wire."""
