"""Keyed Python operators: state and timers around the rules of `jobs.rules`."""
