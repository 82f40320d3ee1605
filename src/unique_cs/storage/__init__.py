"""The timeline over its tiers, the relay between them, and the records of an installation."""
