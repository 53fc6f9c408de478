"""Visits to connected accounts: what is read there, written there, and told of it."""
