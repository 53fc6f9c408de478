"""Runs the whole system on one machine, on private servers of its own: `make run`, `make test`."""
