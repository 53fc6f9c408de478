"""What may be decided without asking anybody: no database, no network, no clock."""
