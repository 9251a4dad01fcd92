"""Errors of the dataflow and of jobs, and the exit code each one leads to.

    AminetError
    └── PipelineError
        ├── ConfigError (also ValueError)   a configuration or an option cannot work       exit 2
        ├── GraphError (also ValueError)    a graph is not a valid dataflow                exit 2
        ├── OutputError (also OSError)      the output cannot be written where asked       exit 2
        ├── StorageError (also OSError)     an object store or the scratch folder          exit 2
        ├── ClusterError (also RuntimeError)  Ray cannot be started or joined              exit 4
        └── RunFailedError (also RuntimeError)  work began, and some of it failed          exit 4
            └── NodeFailedError                 a node raised an error or broke its contract

`nodes.errors.MediaError` leads to exit 3, but its child `WriteError` to 4. `NodeConfigError` and
the errors of the network's weights, data, device and settings lead to exit 2. Attributes are
optional keywords, because required ones do not survive pickling through Ray.
"""

from __future__ import annotations

from aminet.errors import AminetError, DataError, DeviceError, TrainConfigError, WeightsError
from nodes.errors import MediaError, NodeConfigError, WriteError

__all__ = [
    "ClusterError",
    "ConfigError",
    "GraphError",
    "NodeFailedError",
    "OutputError",
    "PipelineError",
    "RunFailedError",
    "StorageError",
    "exit_code",
]

EXIT_USAGE = 2
EXIT_MEDIA = 3
EXIT_RUN_FAILED = 4


class PipelineError(AminetError):
    """The dataflow or the job could not do its work."""


class ConfigError(PipelineError, ValueError):
    """A configuration file or an option has an unknown key or an impossible value."""


class GraphError(PipelineError, ValueError):
    """A graph is not a valid dataflow."""


class OutputError(PipelineError, OSError):
    """The output cannot be written where it was asked for."""


class StorageError(PipelineError, OSError):
    """An object store cannot be used as asked, or this machine's scratch folder is too small."""


class ClusterError(PipelineError, RuntimeError):
    """Ray could not be started, joined, or lost too much to go on."""


class RunFailedError(PipelineError, RuntimeError):
    """Work began and some of it failed; the report says which."""


class NodeFailedError(RunFailedError):
    """A node raised something that is no error of this project, or did not keep its contract."""

    def __init__(self, message: str = "", *, node: str | None = None, trace: str = "") -> None:
        super().__init__(message)
        self.node = node
        """The node's name in the graph."""
        self.trace = trace
        """The traceback of what the node raised, wherever it ran."""


_USAGE = (
    ConfigError,
    GraphError,
    OutputError,
    StorageError,
    NodeConfigError,
    WeightsError,
    DataError,
    DeviceError,
    TrainConfigError,
)


def exit_code(error: BaseException) -> int:
    """Return the exit code of the command line for an error that ended a run."""
    if isinstance(error, MediaError) and not isinstance(error, WriteError):
        return EXIT_MEDIA
    if isinstance(error, _USAGE):
        return EXIT_USAGE
    return EXIT_RUN_FAILED
