"""Removing passwords and keys from URLs before they are written to reports or shown."""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["redacted", "redacted_values"]

_PASSWORD: Final = re.compile(
    r"((?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{0,30}://[^/\s:@\[]{0,256})"
    r":(?:[^/\s]{0,8192}|(?!\d{1,5}/)[^\s@]{0,256})@"
)
"""The password of `scheme://user:password@host`, which may contain an `@`, or a `/` that somebody
forgot to encode; then what is before it is no port. Lengths are bounded, because long texts would
take hours."""

_NAMES: Final = (
    r"signature|token|secret|passw|passphrase|pwd|loginpas|credential|session|jwt|authorization"
    r"|api[_-]?key|access[_-]?key"
)
_NAMED: Final = rf"(?:[\w.\[\]-]{{0,64}}(?:{_NAMES})[\w.\[\]-]{{0,64}}|sig|key|auth|pass)="
_PARAMETER: Final = re.compile(
    rf"([?&;#]{_NAMED}"
    rf"|\s\w{{0,64}}(?:{_NAMES})\w{{0,64}}=)[^&;#\s'\"]+",
    re.IGNORECASE,
)
"""Secret parameters of a query, such as in signed URLs, of a fragment, or of RTMP."""

_WITH_PATHS: Final = re.compile(
    r"(?<![A-Za-z0-9+.-])(?:https?|rtsps?|rtm\w{1,4})://\S*", re.IGNORECASE
)
"""URLs that may have parameters in the path. Not those of object stores, where `session=2024` is
the name of a folder."""
_IN_PATH: Final = re.compile(rf"(/{_NAMED})[^&;#/\s'\"]+", re.IGNORECASE)

_CAMERA: Final = re.compile(
    r"(_(?:password|passwd|pass|pwd)=)(?:(?!_[^\W_]+=)[^&;#/\s'\"])+", re.IGNORECASE
)
"""The password in the path of cameras' URLs: `/user=admin_password=secret_channel=1.sdp`."""


def redacted(text: str) -> str:
    """Return a text with `***` in place of passwords and keys in URLs."""
    if "://" not in text:
        return text
    text = _PASSWORD.sub(r"\1:***@", text)
    text = _WITH_PATHS.sub(lambda url: _IN_PATH.sub(r"\1***", url[0]), text)
    return _CAMERA.sub(r"\1***", _PARAMETER.sub(r"\1***", text))


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
