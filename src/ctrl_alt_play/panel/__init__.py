"""The panel: the one place people talk to, and the door that agents come through."""
