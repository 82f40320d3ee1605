"""Measures one node against the bounds that it promises: see `bench/README.md`."""

from unique_cs.bench.command import main

__all__ = ["main"]
