"""The life of game servers on this node."""
