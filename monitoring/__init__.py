"""What is watched while the suite runs: builds Grafana's dashboard from definitions that one can read."""
