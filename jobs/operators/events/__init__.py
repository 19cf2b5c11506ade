"""The operators of events: what changed, and what is looked up of it."""
