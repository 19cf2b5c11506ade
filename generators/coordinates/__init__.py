"""Points of a file: read, checked, sent to the job, and exported with what it found."""
