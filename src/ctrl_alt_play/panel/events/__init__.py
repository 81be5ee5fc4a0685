"""What nodes told for good: the history of servers and of nodes."""
