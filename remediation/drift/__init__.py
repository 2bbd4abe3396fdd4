"""Who will write an object again, and so take our entry or our login out of it."""
