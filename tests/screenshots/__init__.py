"""Pictures of the page, of a real panel with real servers: `scripts/screenshots`."""
