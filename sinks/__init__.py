"""Where rows, documents and records go; each sink states its delivery contract."""
