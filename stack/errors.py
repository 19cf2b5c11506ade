"""What the stack says when it can't go on."""


class StackError(Exception):
    """One sentence for the person at the keyboard: what is wrong, and what to change."""
