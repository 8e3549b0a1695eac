"""What the servers of one store know in common beside jobs and pictures: users, keys, clients, trainings."""
