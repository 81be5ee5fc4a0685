"""A game's own configuration files, changed where a template says so, and nowhere else."""
