"""The registries that nodes may pull images from as somebody: kept here, and told to every node that can use them."""
