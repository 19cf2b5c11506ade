"""What feeds Kafka."""
