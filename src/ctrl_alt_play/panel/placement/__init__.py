"""Where servers go: which node has room for one, and which ports of it."""
