"""All that a user may set: citystream.yaml, index templates, Flink's configuration, and the code that reads them."""
