"""What connected clients are told at once: appointments of theirs, and times that come and go."""
