"""What servers and their node use, and who plays: measured and asked in the background, for panel and Prometheus."""
