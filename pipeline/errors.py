"""Errors of graphs, runners and jobs, and their exit codes.

    AminetError
    └── PipelineError
        ├── ConfigError (also ValueError)   a configuration or an option is invalid        exit 2
        ├── GraphError (also ValueError)    a graph is not a valid dataflow                exit 2
        ├── OutputError (also OSError)      the output cannot be written where asked       exit 2
        ├── StorageError (also OSError)     an object store or the scratch folder          exit 2
        ├── ClusterError (also RuntimeError)  Ray cannot be started or joined              exit 4
        ├── RunFailedError (also RuntimeError)  the run failed, or a part of it            exit 4
        │   ├── RunCancelledError               the caller cancelled the run
        │   └── NodeFailedError                 a node raised an error or broke its contract
        │       └── NodeSetupError              a node failed before any video was begun   exit 2
        └── VerificationError (also ValueError)  a result is not what its report says      exit 5

`nodes.errors.MediaError` gives exit code 3, but its subclass `WriteError` gives 4.
`NodeConfigError` and the errors of weights, data, devices and settings give 2. Attributes are
optional keyword arguments, because required ones do not survive pickling.
"""

from __future__ import annotations

from collections.abc import Mapping

from aminet.errors import AminetError, DataError, DeviceError, TrainConfigError, WeightsError
from nodes.errors import MediaError, NodeConfigError, WriteError

__all__ = [
    "ClusterError",
    "ConfigError",
    "GraphError",
    "NodeFailedError",
    "NodeSetupError",
    "OutputError",
    "PipelineError",
    "RunCancelledError",
    "RunFailedError",
    "StorageError",
    "VerificationError",
    "exit_code",
]

EXIT_USAGE = 2
EXIT_MEDIA = 3
EXIT_RUN_FAILED = 4
EXIT_NOT_AS_RECORDED = 5


class PipelineError(AminetError):
    """Base of all errors of graphs, runners and jobs."""


class ConfigError(PipelineError, ValueError):
    """A configuration file or an option has an unknown key or an invalid value."""

    def __init__(self, message: str = "", *, wrong: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.wrong = wrong or {}
        """What is wrong, by the key of a `RunConfig`, such as `run.runner` and `params.scale`;
        empty if the message alone says it."""


class GraphError(PipelineError, ValueError):
    """A graph is not a valid dataflow."""

    def __init__(
        self,
        message: str = "",
        *,
        at: tuple[str, ...] | None = None,
        wrong: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.wrong = wrong or {}
        """See `ConfigError.wrong`."""
        self.at = at
        """The keys that lead to what is wrong in the graph's file, such as `("nodes", "encode",
        "config", "crf")`; none for the file as a whole; None if what is wrong is not in the
        file, or if the message says where already."""


class OutputError(PipelineError, OSError):
    """The output cannot be written."""


class StorageError(PipelineError, OSError):
    """An object store cannot be used, or this machine's scratch folder is too small."""


class ClusterError(PipelineError, RuntimeError):
    """Ray could not be started or joined, or lost too many machines or actors."""


class RunFailedError(PipelineError, RuntimeError):
    """The run failed, or a part of it; the report says which."""


class VerificationError(PipelineError, ValueError):
    """A result, or what it was made of, is not what its report says."""


class RunCancelledError(RunFailedError):
    """The caller asked a run to end; what is finished of it is kept for the same call."""


class NodeFailedError(RunFailedError):
    """A node raised something that is no error of this project, or did not keep its contract."""

    def __init__(self, message: str = "", *, node: str | None = None, trace: str = "") -> None:
        super().__init__(message)
        self.node = node
        """The node's name in the graph."""
        self.trace = trace
        """The traceback of what the node raised, wherever it ran."""


class NodeSetupError(NodeFailedError):
    """A node could not be constructed, prepared or set up, so that no video was begun."""


_USAGE = (
    ConfigError,
    GraphError,
    OutputError,
    StorageError,
    NodeConfigError,
    NodeSetupError,
    WeightsError,
    DataError,
    DeviceError,
    TrainConfigError,
)


def exit_code(error: BaseException) -> int:
    """Return the exit code of the command line for an error that ended a run."""
    if isinstance(error, MediaError) and not isinstance(error, WriteError):
        return EXIT_MEDIA
    if isinstance(error, VerificationError):
        return EXIT_NOT_AS_RECORDED
    if isinstance(error, _USAGE):
        return EXIT_USAGE
    return EXIT_RUN_FAILED
