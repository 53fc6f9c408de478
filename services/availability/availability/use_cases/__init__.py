"""One module for each thing that providers set up."""
