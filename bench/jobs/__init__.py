"""Jobs that are measured against ours, each submitted with `flink run`; all read to the topic's present end and stop."""
