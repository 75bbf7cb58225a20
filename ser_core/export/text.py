"""What the formats share: names and numbers as they are written."""

PROBABILITY_DIGITS = 4
TIME_DIGITS = 3  # ms


def utf8(name: str) -> str:
    """`name` with the bytes of a file name that are not UTF-8 replaced, so that it can be written anywhere.

    >>> utf8("caf" + chr(0xDCE9))
    'caf\ufffd'
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
