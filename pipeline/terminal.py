"""Escaping text from files for a terminal."""

from __future__ import annotations

import logging
import re
from typing import Final

from pipeline.url_secrets import redacted

__all__ = ["PrintableFormatter", "printable"]

_UNSAFE: Final = re.compile(
    # Control characters, among them ESC and the newline; marks that change the direction of
    # writing; separators of lines; and bytes of names that are no UTF-8, which Python keeps as lone
    # surrogates and no terminal can be sent.
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    r"""Return `text` with control and similar characters escaped, such as `\x1b`, in one line.

    Passwords and keys in URLs are replaced by `***`.
    """
    return _UNSAFE.sub(_escaped, redacted(text))


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file's name
        return f"\\x{code - 0xDC00:02x}"
    known = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return known.get(match[0]) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


class PrintableFormatter(logging.Formatter):
    """Formats each message as one escaped line; tracebacks are not changed."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """Return the record's line, without its traceback."""
        return printable(super().formatMessage(record))
