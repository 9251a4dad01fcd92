"""JSON that holds any file's name."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["json_bytes"]


def json_bytes(value: Any) -> bytes:
    """Return a value as indented JSON in UTF-8; what JSON has no type for is written as text.

    Bytes of a name that are not UTF-8, surrogates in Python, are written as JSON's escapes of
    them, which `json.loads` takes back.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n"
    return text.encode("utf-8", "backslashreplace")
