"""The local stack: the same real servers as docker-compose.yml, without Docker."""
