"""What each stream brings to the board, a module of its name each."""
