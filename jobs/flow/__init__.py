"""How records flow through a job: the shared transformations, each a function of streams."""
