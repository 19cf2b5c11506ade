"""What a sink's set-up can find wrong."""


class NotReadyError(Exception):
    """A server is out of reach or lacks something; the message is one sentence that says what to change."""
