"""Jobs that are measured beside ours, each submitted with `flink run`; they stop at the end of the topic."""
