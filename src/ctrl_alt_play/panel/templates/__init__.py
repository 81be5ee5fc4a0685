"""Templates as the panel keeps them: what there is of each version, where it came from, and what is made of it."""
