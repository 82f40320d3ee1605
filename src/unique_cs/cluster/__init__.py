"""What nodes share through Redis: the log, sessions, leases, presence and signals."""
