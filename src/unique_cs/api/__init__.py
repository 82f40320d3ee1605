"""REST resources, health, metrics and the built web assets."""
