"""Sockets: the one door, connections with bounded queues, and the hub that delivers."""
