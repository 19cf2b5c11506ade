"""Domain rules in pure Python, without PyFlink."""
