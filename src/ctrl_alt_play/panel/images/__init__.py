"""The images of nodes: asked of the node, for the panel keeps none of it."""
