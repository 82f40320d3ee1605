"""Loops that keep house: cursors, trimming, expiry."""
