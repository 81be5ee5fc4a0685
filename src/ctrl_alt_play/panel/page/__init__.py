"""The page that people use, as it was built from `ui/`: files, and nothing else."""
