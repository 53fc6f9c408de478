"""One test file for each line of what the platform promises about security (docs/security.md)."""
