"""One module for each thing that can happen to an appointment."""
