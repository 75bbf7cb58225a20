"""Log messages of failures: kind and place, without the error's text, which may name a person's file."""

import traceback


def describe(error: BaseException) -> str:
    """The type of `error` and its traceback, without its text.

    >>> describe(FileNotFoundError("/tmp/my divorce.wav"))
    'FileNotFoundError'
    """
    lines = "".join(traceback.format_tb(error.__traceback__)).rstrip()
    return "\n".join(filter(None, (type(error).__name__, lines)))
