"""World events, pulled by what was updated since: the events API into the topic `events.raw`."""
