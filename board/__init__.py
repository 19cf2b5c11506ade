"""What people and programs look at: the forecast service."""
