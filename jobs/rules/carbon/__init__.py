"""The rules of the carbon stream, in plain Python."""
