"""Finding a Python function by its name, and calling it on a picture."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

import numpy as np
from pydantic import BeforeValidator, Field

from nodes.errors import NodeConfigError
from nodes.node import Node, NodeConfig, Reader
from nodes.types import RgbImage

__all__ = ["FunctionConfig", "FunctionNode"]

PictureFunction = Callable[..., RgbImage]


def _named(given: object) -> object:
    """Return the name of a function that is given itself, from Python."""
    if not callable(given):
        return given
    module, name = getattr(given, "__module__", None), getattr(given, "__qualname__", "<object>")
    if module in (None, "__main__") or "<" in name:
        raise ValueError(
            f"got {given!r}, which other processes cannot import: give a function that lies at the"
            " top of a module, or a node class of your own (nodes.frame_filter.FrameFilter)"
        )
    return f"{module}:{name}"


class FunctionConfig(NodeConfig):
    """Which function is called."""

    function: Annotated[str, BeforeValidator(_named)] = Field(
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$"
    )
    """`module:function`, which Python can import (from Python also the function itself); it takes a
    picture as an RGB array and returns one."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of the function, by name."""
    whole: bool = False
    """Do not split videos: for a function that remembers earlier pictures."""

    def uncut_reason(self) -> str | None:
        """Return why a video must not be split: the function remembers pictures."""
        return f"{self.function} needs the whole video (whole: true)" if self.whole else None


class FunctionNode(Node[FunctionConfig]):
    """The base of nodes that call the function."""

    Config: ClassVar[type[NodeConfig]] = FunctionConfig

    def __init__(self, config: FunctionConfig) -> None:
        super().__init__(config)
        self._function: PictureFunction | None = None

    def prepare(self, read: Reader) -> None:
        """Make sure that there is such a function, before anything starts.

        Raises:
            NodeConfigError: there is none.
        """
        del read
        _loaded(self.config)

    def setup(self, threads: int) -> None:
        """Import the function."""
        del threads
        self._function = _loaded(self.config)

    def content_id(self) -> str:
        """Return a digest of the function's module."""
        module = sys.modules.get(self.config.function.partition(":")[0])
        file = getattr(module, "__file__", None)
        path = Path(file) if file else None
        return sha256(path.read_bytes()).hexdigest() if path and path.is_file() else ""

    def call(self, rgb: RgbImage) -> RgbImage:
        """Call the function on a picture.

        Raises:
            NodeConfigError: it returned something else than a picture of that shape and type.
        """
        if self._function is None:
            raise RuntimeError("the function was called before setup")
        config = self.config
        made = cast("object", self._function(rgb, **config.arguments))
        if not isinstance(made, np.ndarray):
            raise NodeConfigError(
                f"{config.function} returned a {type(made).__name__}, expected a picture: an array"
                f" of shape {rgb.shape} and type {rgb.dtype}"
            )
        if made.shape != rgb.shape or made.dtype != rgb.dtype:
            raise NodeConfigError(
                f"{config.function} returned shape {made.shape} and type {made.dtype}, expected"
                f" {rgb.shape} and {rgb.dtype}, as it was given"
            )
        return cast("RgbImage", made)


def _loaded(config: FunctionConfig) -> PictureFunction:
    """Import the function.

    Raises:
        NodeConfigError: there is none by that name, or it cannot take such arguments.
    """
    module_name, _, name = config.function.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == module_name
        hint = ": install it, or put its folder into PYTHONPATH" if missing else ""
        raise NodeConfigError(
            f"{config.function} cannot be loaded: {type(error).__name__}: {error}{hint}"
        ) from error
    if not callable(found):
        raise NodeConfigError(f"{config.function} is a {type(found).__name__}, not a function")
    try:
        inspect.signature(found).bind(np.zeros((1, 1, 3), np.uint8), **config.arguments)
    except TypeError as error:
        raise NodeConfigError(
            f"{config.function} cannot be called with a picture and"
            f" {', '.join(config.arguments) or 'nothing else'}: {error}"
        ) from error
    except ValueError:
        pass  # written in C, without a signature
    return cast("PictureFunction", found)
