"""Templates (the field calls them eggs): what a kind of server is made of. Read from the field's formats, and written in them; no I/O."""
