"""The samplers, their schedules and their noise. Nothing here knows networks, guidance or jobs."""
