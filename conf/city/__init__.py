"""The map of the city that every stream shares: its districts and its apartment complexes."""
