"""Removing passwords and keys from URLs before they are written to reports or shown."""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["redacted", "redacted_values"]

_PASSWORD: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^/\s:@]*):[^/\s]*@")
"""The password of `scheme://user:password@host`, which may contain an `@`."""

_PARAMETER: Final = re.compile(
    r"([?&;](?:[\w.-]*(?:signature|token|secret|passw|passphrase|pwd|credential|api_?key|access_?key)[\w.-]*"
    r"|sig|key|auth|pass)=)[^&;#\s'\"]+",
    re.IGNORECASE,
)
"""Secret parameters of a query, such as in signed URLs."""


def redacted(text: str) -> str:
    """Return a text with `***` in place of passwords and keys in URLs."""
    if "://" not in text:
        return text
    return _PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1:***@", text))


def redacted_values(value: Any) -> Any:
    """Return a value as types of JSON, with `redacted` texts; other types are converted to text."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {redacted(str(key)): redacted_values(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [redacted_values(part) for part in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return redacted(str(value))
