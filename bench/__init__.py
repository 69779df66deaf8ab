"""Measurements as ratios against a baseline of the same run: absolute times say more of the machine than of us."""
