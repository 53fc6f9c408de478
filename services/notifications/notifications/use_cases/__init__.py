"""What follows for the people concerned: one function for each thing that can happen."""
