"""What the formats share: names and numbers as they are written."""

import json

PROBABILITY_DIGITS = 4
TIME_DIGITS = 3  # ms


def utf8(name: str) -> str:
    """`name` with the bytes of a file name that are not UTF-8 replaced, so that it can be written anywhere.

    >>> utf8("caf" + chr(0xDCE9))
    'caf\ufffd'
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def one_line(name: str) -> str:
    r"""`name` as a JSON string on one line, without `>` and what cannot be seen; `json.loads` gives it back.

    >>> one_line("a --> b" + chr(10) + "c.wav")
    '"a --\\u003e b\\nc.wav"'
    """
    quoted = json.dumps(utf8(name), ensure_ascii=False)
    return "".join(c if c.isprintable() and c != ">" else _escaped(c) for c in quoted)


def _escaped(character: str) -> str:
    return "\\u003e" if character == ">" else json.dumps(character)[1:-1]
