"""See cryptography.hazmat.primitives of this stand-in."""
