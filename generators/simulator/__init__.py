"""The public APIs of the carbon stream, answered on this machine with synthetic data."""
