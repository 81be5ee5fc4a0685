"""What nodes tell, taken in: each fact once, in its order, into the servers and operations that it is about."""
