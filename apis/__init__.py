"""Public APIs: how they are called, what their answers mean, and what is left of their quotas."""
