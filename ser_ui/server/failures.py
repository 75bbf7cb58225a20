"""What is logged of a failure: its kind and where it happened. Its words may name somebody's file."""

import traceback


def describe(error: BaseException) -> str:
    """The kind of `error` and the lines of code it came through.

    >>> describe(FileNotFoundError("/tmp/my divorce.wav"))
    'FileNotFoundError'
    """
    lines = "".join(traceback.format_tb(error.__traceback__)).rstrip()
    return "\n".join(filter(None, (type(error).__name__, lines)))
