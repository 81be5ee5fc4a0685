"""The program on each node: it keeps the games, and speaks with the panel about them."""
