"""People's accounts, and signing in."""
