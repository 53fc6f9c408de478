"""Bodies and answers of the API."""
