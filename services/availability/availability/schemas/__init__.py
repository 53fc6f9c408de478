"""Queries, bodies and answers of the availability API, one module for each noun."""
