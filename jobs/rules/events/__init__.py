"""World events: what a record says, where it is, what changed since, and what has to be looked up for it."""
