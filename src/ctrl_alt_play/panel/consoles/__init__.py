"""What servers wrote, and write: told to whoever looks, from any line on. The nodes keep it; here is only the newest of what is looked at."""
