"""The seam to whatever runs containers, and Docker behind it."""
