"""Calendars of others: one contract, and one module for each way to reach them."""
