"""HTTP in, one use case or one read, HTTP out."""
