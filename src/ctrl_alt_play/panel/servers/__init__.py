"""Servers: what they are made of, what is done with them, and what their nodes say of them."""
