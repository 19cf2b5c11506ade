"""What a sink's set-up can find wrong."""

from conf.errors import CitystreamError


class NotReadyError(CitystreamError):
    """A server is out of reach or lacks something; the message is one sentence that says what to change."""
