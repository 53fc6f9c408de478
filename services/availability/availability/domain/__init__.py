"""The arithmetic of free time: pure functions over whole UTC minutes."""
