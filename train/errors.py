"""The error of a training run that cannot start or continue."""


class RunError(Exception):
    """A run that cannot start or continue; the message says what to do."""
