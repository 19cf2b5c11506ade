"""One submit-able module per stream, and what they share."""
