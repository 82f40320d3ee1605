"""Use cases: one function per thing an actor can do. Only these make durable events."""
