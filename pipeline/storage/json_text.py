"""Writing JSON that may contain any file name."""

from __future__ import annotations

import json
from typing import Any

from pipeline.url_secrets import redacted_values

__all__ = ["json_bytes", "json_value"]


def json_bytes(value: Any) -> bytes:
    """Return a value as indented JSON in UTF-8; values of other types are converted to text.

    Passwords and keys in URLs are replaced by `***`.

    Surrogates, with which Python decodes names that are not UTF-8, are written as JSON escapes,
    which `json.loads` decodes again.
    """
    text = json.dumps(redacted_values(value), indent=2, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "backslashreplace")


def json_value(content: bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is not JSON, or nested too deeply.
    """
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
