"""Carbon's: what is known of a complex and of a station's month, and the forecast of the next days."""
