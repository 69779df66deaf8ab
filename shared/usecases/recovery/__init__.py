"""Restore, launch, rebuild and plans of them, by one engine."""
