"""What the carbon stream is fed with: complexes, their energy use, and the weather."""
