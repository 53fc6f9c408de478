"""What the platform promises, looked up in a recorded history and in the state after it."""
