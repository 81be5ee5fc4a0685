"""What was asked of servers, and what became of it."""
