"""The error of a run, for every file that can stop one."""


class RunError(Exception):
    """A run that cannot start or go on; the message says what to do."""
