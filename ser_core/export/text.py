"""Formatting of names and numbers that the export formats share."""

import json

PROBABILITY_DIGITS = 4
TIME_DIGITS = 3  # ms


def utf8(name: str) -> str:
    """`name` with bytes of a file name that are not UTF-8 replaced, so that it can be encoded.

    >>> utf8("caf" + chr(0xDCE9))
    'caf\ufffd'
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def printable(name: str) -> str:
    """`name` with a space for each run of white space, and without other unprintable characters.

    >>> printable("the" + chr(10) + " caller" + chr(0))
    'the caller'
    """
    return "".join(c for c in " ".join(utf8(name).split()) if c.isprintable())


def one_line(name: str) -> str:
    r"""`name` as a JSON string on one line, `>` and unprintable characters escaped; `json.loads` reverses it.

    >>> one_line("a --> b" + chr(10) + "c.wav")
    '"a --\\u003e b\\nc.wav"'
    """
    quoted = json.dumps(utf8(name), ensure_ascii=False)
    return "".join(c if c.isprintable() and c != ">" else _escaped(c) for c in quoted)


def _escaped(character: str) -> str:
    return "\\u003e" if character == ">" else json.dumps(character)[1:-1]
