"""What calls the public APIs and feeds Kafka: complexes, their energy use, and the weather."""
