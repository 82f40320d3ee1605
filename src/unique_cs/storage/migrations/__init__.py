"""Migrations of the SQL schema, forward only: one module a revision in `versions/`."""
