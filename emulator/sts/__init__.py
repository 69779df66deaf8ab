"""Security Token Service: temporary keys of a role, and who one is."""
