"""The games' consoles: logs of numbered lines on the node's disk, and cursors over them."""
