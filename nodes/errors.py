"""Errors that nodes raise.

    AminetError
    └── NodeError
        ├── MediaError (also OSError)          a file or stream cannot be read
        │   └── WriteError                     one cannot be written: disk full, pipe closed
        ├── NodeConfigError (also ValueError)  a node's configuration cannot work
        └── UnsupportedFormatError (also ValueError)  a pixel format nothing here can hold

A message says what happened, the value got, the value expected and what to do. Attributes are
optional keywords, because required ones do not survive pickling through Ray.
"""

from __future__ import annotations

from aminet.errors import AminetError

__all__ = ["MediaError", "NodeConfigError", "NodeError", "UnsupportedFormatError", "WriteError"]


class NodeError(AminetError):
    """A node could not do its work."""


class MediaError(NodeError, OSError):
    """A media file or stream cannot be read."""


class WriteError(MediaError):
    """A media file or stream cannot be written further: the disk is full, the pipe closed."""


class NodeConfigError(NodeError, ValueError):
    """A node's configuration is contradictory or refers to something that is not there."""


class UnsupportedFormatError(NodeError, ValueError):
    """A pixel format that neither the nodes nor the chosen encoder can hold."""
