"""Errors that nodes raise.

    AminetError
    └── NodeError
        ├── MediaError (also OSError)          a file or stream cannot be read
        │   └── WriteError                     a file or stream cannot be written
        ├── NodeConfigError (also ValueError)  a node's configuration is invalid
        └── UnsupportedFormatError (also ValueError)  a pixel format that is not supported

Messages say what happened, the value, what was expected, and what to do. Attributes are optional
keyword arguments, because required ones do not survive pickling.
"""

from __future__ import annotations

from aminet.errors import AminetError, did_you_mean

__all__ = [
    "MediaError",
    "NodeConfigError",
    "NodeError",
    "UnsupportedFormatError",
    "WriteError",
    "did_you_mean",
]


class NodeError(AminetError):
    """Base of all errors that nodes raise."""


class MediaError(NodeError, OSError):
    """A media file or stream cannot be read."""


class WriteError(MediaError):
    """A media file or stream cannot be written: the disk is full, or the pipe is closed."""


class NodeConfigError(NodeError, ValueError):
    """A node's configuration is contradictory, or refers to something that does not exist."""


class UnsupportedFormatError(NodeError, ValueError):
    """A pixel format that neither the nodes nor the chosen encoder can hold."""
