"""Settings from a YAML file and from `key.path=value` texts, checked against a model.

Run files, training configs and graph files are all read with these functions. The caller passes the
class of error to raise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from pydantic import BaseModel, ValidationError

from aminet.errors import AminetError

__all__ = ["check_settings", "explain", "read_settings", "read_value", "set_value"]

ModelT = TypeVar("ModelT", bound=BaseModel)

# PyYAML raises ValueError for impossible dates and RecursionError for deeply nested brackets.
_BAD_YAML = (yaml.YAMLError, ValueError, RecursionError)


def read_settings(file: Path, what: str, error: type[AminetError]) -> dict[str, Any]:
    """Return the mapping in a YAML file; an empty file gives an empty mapping.

    Args:
        file: the YAML file.
        what: what to call the file in messages, such as "configuration".
        error: the class of error to raise.

    Raises:
        AminetError: `error`, if the file cannot be read, is not YAML or is not a mapping.
    """
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as cause:
        raise error(f"cannot read {what} {file}: {cause.strerror}") from cause
    except UnicodeDecodeError as cause:
        raise error(f"{what} {file} is not valid YAML: it is not UTF-8 text") from cause
    except _BAD_YAML as cause:
        raise error(f"{what} {file} is not valid YAML: {_one_line(cause)}") from cause
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise error(f"{what} {file} holds a {type(data).__name__}, expected a mapping")
    return cast("dict[str, Any]", data)


def read_value(setting: str, text: str, error: type[AminetError]) -> Any:
    """Return the value of one setting, read as YAML.

    Args:
        setting: the whole setting as given, for messages.
        text: the value.
        error: the class of error to raise.

    Raises:
        AminetError: `error`, if `text` is not YAML.
    """
    try:
        return yaml.safe_load(text)
    except _BAD_YAML as cause:
        raise error(f"--set {setting!r}: the value is not valid YAML") from cause


def set_value(
    data: dict[str, Any], path: Sequence[str], value: Any, error: type[AminetError]
) -> None:
    """Set one value in nested mappings, and create mappings that are missing.

    Args:
        data: the mappings, changed in place.
        path: the keys that lead to the value; at least one.
        value: what to set.
        error: the class of error to raise.

    Raises:
        AminetError: `error`, if a key of the path holds something other than a mapping.
    """
    at = data
    for key in path[:-1]:
        deeper = at.setdefault(key, {})
        if not isinstance(deeper, dict):
            raise error(f"cannot set {'.'.join(path)!r}: {key!r} is a value, not a section")
        at = cast("dict[str, Any]", deeper)
    at[path[-1]] = value


def check_settings(
    model: type[ModelT], data: Mapping[str, Any], where: str, error: type[AminetError]
) -> ModelT:
    """Validate settings against a pydantic model.

    Args:
        model: the model.
        data: the settings.
        where: prefix of the message, such as "run.yaml"; may be empty.
        error: the class of error to raise.

    Raises:
        AminetError: `error`, naming every key that is unknown or has an invalid value.
    """
    try:
        return model.model_validate(data)
    except ValidationError as cause:
        raise error(f"{where}: {explain(cause)}" if where else explain(cause)) from cause


def explain(error: ValidationError) -> str:
    """Return a pydantic error as one line: each key, what is wrong with it, and the value got."""
    parts: list[str] = []
    for issue in error.errors(include_url=False):
        key = ".".join(str(step) for step in issue["loc"]) or "top level"
        got = (
            "" if issue["type"] in {"missing", "extra_forbidden"} else f" (got {issue['input']!r})"
        )
        text = "unknown key" if issue["type"] == "extra_forbidden" else issue["msg"]
        parts.append(f"{key}: {text}{got}")
    return "; ".join(parts)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
