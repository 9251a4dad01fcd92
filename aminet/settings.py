"""Settings from a YAML file and from `key.path=value` texts, checked against a model.

The models derive from `Settings`, which takes only numbers for numbers, and only truth values for
truth values.

Run files, training configs and graph files are all read with these functions. The caller passes the
class of error to raise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numpy as np
import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema

from aminet.errors import AminetError
from aminet.files import read_regular
from aminet.setting_errors import explain, shortened

__all__ = [
    "Settings",
    "check_settings",
    "lines_of",
    "read_settings",
    "read_value",
    "set_value",
]

ModelT = TypeVar("ModelT", bound=BaseModel)

MOST_BYTES: Final = 4_000_000
"""Largest file of settings, bytes."""
MOST_VALUES: Final = 100_000
"""Most values in a file of settings, with each use of an anchor counted."""
MOST_LEVELS: Final = 100
"""Deepest nesting of a file of settings."""
MOST_CHARACTERS: Final = 4096
"""Longest single value; Python converts no numbers of more than 4300 digits."""

# PyYAML raises ValueError for impossible dates and RecursionError for deeply nested brackets.
_BAD_YAML = (yaml.YAMLError, ValueError, RecursionError)


def _make_strict(part: Any) -> None:
    if isinstance(part, list):
        for deeper in cast("list[Any]", part):
            _make_strict(deeper)
    elif isinstance(part, dict):
        schema = cast("dict[str, Any]", part)
        if schema.get("type") in ("int", "float", "bool"):
            schema["strict"] = True
        for key, deeper in schema.items():
            # Keys of `--set encode.convert.1=flac` are texts.
            if key not in ("default", "metadata", "keys_schema"):
                _make_strict(deeper)


def _python_values(given: object) -> object:
    if isinstance(given, np.generic):
        return given.item()
    if isinstance(given, dict):
        return {k: _python_values(v) for k, v in cast("dict[Any, object]", given).items()}
    if isinstance(given, (list, tuple)):
        return [_python_values(each) for each in cast("Sequence[object]", given)]
    return given


class Settings(BaseModel):
    """Base of settings: immutable; unknown keys, and values of another type, are errors.

    Pydantic would take `true` and `"1"` for the number 1, and `1` and `"no"` for truth values. Here
    only whole numbers become fractions. Lists become tuples, and texts paths, as usual.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[BaseModel], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return pydantic's schema, with all numbers and truth values in it strict."""
        schema = handler(source)
        _make_strict(schema)
        return schema

    @model_validator(mode="before")
    @classmethod
    def _of_numpy(cls, given: object) -> object:
        """Take NumPy's numbers and truth values for Python's."""
        return _python_values(given)


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
        data = _loaded(read_regular(file, MOST_BYTES).decode("utf-8"), str(file))
    except OSError as cause:
        raise error(f"cannot read {what} {file}: {cause.strerror}") from cause
    except UnicodeDecodeError as cause:
        raise error(f"{what} {file} is not valid YAML: it is not UTF-8 text") from cause
    except _BAD_YAML as cause:
        raise error(f"{what} {file} is not valid YAML: {_one_line(cause)}") from cause
    if data is None:
        return {}
    if not isinstance(data, dict):
        kind = "text" if isinstance(data, str) else type(data).__name__
        raise error(f"{what} {file} holds a {kind}, expected a mapping, such as `key: value`")
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
        return _loaded(text, setting)
    except _BAD_YAML as cause:
        raise error(f"--set {shortened(setting)}: the value is not valid YAML") from cause


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
    model: type[ModelT],
    data: Mapping[str, Any],
    where: str,
    error: type[AminetError],
    *,
    file: Path | None = None,
) -> ModelT:
    """Validate settings against a pydantic model.

    Args:
        model: the model.
        data: the settings.
        where: prefix of the message, such as "run.yaml"; may be empty.
        error: the class of error to raise.
        file: the YAML file that they are from, to name its lines; None if there is none.

    Raises:
        AminetError: `error`, naming every key that is unknown or has an invalid value.
    """
    try:
        return model.model_validate(data)
    except ValidationError as cause:
        said = explain(cause, lines_of(file) if file else {}, model=model)
        raise error(f"{where}: {said}" if where else said) from cause


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


class _Loader(yaml.SafeLoader):
    """Refuses mappings in which a key is there twice: YAML would take the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {key.value!r} is there twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


# YAML 1.2 and everybody's expectation; PyYAML takes it for text unless there is a point and a sign.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?\d[\d_]*(?:\.[\d_]*)?[eE][-+]?\d+"),
    list("-+0123456789"),
)


def _loaded(text: str, name: str) -> Any:
    """Return the value of a YAML text.

    Raises:
        YAMLError, ValueError, RecursionError: it is not YAML, or larger than any settings are.
    """
    loader = _Loader(text)
    loader.name = name  # in messages, in place of "<unicode string>"
    try:
        document = loader.get_single_node()
        if document is None:
            return None
        # Before the values are constructed: merged mappings alone can fill the memory.
        if _count_values(document, {}, 0) > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES} values, with each use of an anchor counted")
        return loader.construct_document(document)
    finally:
        loader.dispose()


def _count_values(node: yaml.Node, known: dict[int, int], level: int) -> int:
    """Return the number of values in a node; a value used again by an anchor counts again."""
    if level > MOST_LEVELS:
        raise ValueError(f"nested deeper than {MOST_LEVELS} levels, or containing itself")
    if isinstance(node, yaml.ScalarNode):
        if len(node.value) > MOST_CHARACTERS:
            raise ValueError(f"a value of more than {MOST_CHARACTERS} characters")
        if "\0" in node.value:
            raise ValueError("a value with a zero byte")
        return 1
    if id(node) not in known:
        parts = node.value
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_count_values(part, known, level + 1) for part in parts)
    return known[id(node)]


def lines_of(file: Path) -> dict[tuple[str, ...], int]:
    """Return the line of each key of a YAML file, by the keys that lead to it.

    Of a file that cannot be read, none.
    """
    try:
        text = read_regular(file, MOST_BYTES).decode("utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, *_BAD_YAML):
        return {}
    found: dict[tuple[str, ...], int] = {}
    waiting: list[tuple[tuple[str, ...], yaml.Node | None]] = [((), root)]
    while waiting:
        path, node = waiting.pop()
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
            below = (*path, str(key.value))
            found[below] = key.start_mark.line + 1
            waiting.append((below, value))
    return found
