"""The task dialect: tasks are posted, followed by events and cancelled; users have tokens, pictures URLs."""
