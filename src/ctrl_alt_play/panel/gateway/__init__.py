"""The door that agents come through, and the way to them: connections, commands, and what agents say."""
