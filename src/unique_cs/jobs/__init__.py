"""Loops that keep house: gauges, trimming, expiry."""
