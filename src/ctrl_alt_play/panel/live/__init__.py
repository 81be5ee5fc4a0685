"""The live channel: what one may see is told as it changes, to whoever asked for it, over one connection."""
