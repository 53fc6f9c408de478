"""What integrators' systems are told: signed, thin, retried, and theirs to replay."""
