"""Revisions, in order of their names. `schema.HEAD` names the newest."""
