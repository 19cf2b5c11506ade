"""The public APIs that pollers call, answered on this machine with synthetic data."""
