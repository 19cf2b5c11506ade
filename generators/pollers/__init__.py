"""What calls the public APIs and feeds Kafka: a folder per stream, and what all pollers do."""
