"""What the panel counts about itself, and what it knows of servers, for Prometheus. Nothing else of the panel knows of it but `main`."""
