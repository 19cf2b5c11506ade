"""K-apt's list and basis of complexes, their energy use, and ASOS weather."""
