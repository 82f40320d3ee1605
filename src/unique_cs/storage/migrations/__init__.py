"""Migrations of the SQL schema, forward only: one module a revision in `versions/`, numbered without gaps.

Nodes of the version before go on while a newer one migrates, and may start again afterwards. So a revision
only adds: tables, indexes, columns that may be left out (expand). What the version before still reads or
writes is removed by a later release (contract); such a revision sets `oldest_revision` in `installation` to
the lowest revision whose program works with what is left, and older programs refuse to start.

On MySQL a change of a table commits by itself, so a revision may have been cut off half-way: it is run again,
and makes only what is missing. Use the functions of `steps`.
"""
