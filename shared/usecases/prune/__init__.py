"""What has expired is let go, and never a last usable point."""
