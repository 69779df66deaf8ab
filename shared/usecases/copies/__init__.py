"""Points and images in other regions."""
