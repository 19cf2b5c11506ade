"""What the stack says when it can't go on."""

from conf.errors import CitystreamError


class StackError(CitystreamError):
    """One sentence for the person at the keyboard: what is wrong, and what to change."""
