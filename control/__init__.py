"""What runs on a Flink cluster: its jobs, checkpoints and metrics; any cluster, not just the local stack."""
