"""Side-by-side benchmarks against the alternatives."""
