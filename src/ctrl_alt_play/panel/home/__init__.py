"""The panel itself: its health, its front door, its documentation."""
