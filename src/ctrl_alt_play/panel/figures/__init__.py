"""What servers and nodes use: the newest of it, its history, and who looks at it."""
