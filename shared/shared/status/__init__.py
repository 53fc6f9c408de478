"""What an operator sees of the running system on one screen: ``python -m shared.status``."""
