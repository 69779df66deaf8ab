"""Keeping the world in a directory, so that it outlives its process (docs/adr/0008)."""
