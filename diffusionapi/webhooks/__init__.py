"""What servers of clients are told while jobs live: signed, tried again, logged, never in a job's way."""
