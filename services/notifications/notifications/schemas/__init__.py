"""Bodies and answers of the notifications API."""
