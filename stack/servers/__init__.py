"""One module per kind of server: how it is laid out, started and asked whether it answers."""
