"""Points of disks: due, chosen, taken, adopted; what covers what."""
