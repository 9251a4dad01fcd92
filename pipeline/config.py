"""Configuration of a run: defaults < YAML file < `--set` < flags, each level checked.

A run's YAML file has the sections of `RunConfig`:

    graph: enhance
    params: {scale: 2}
    nodes: {encode: {crf: 20}}
    run: {threads: 4}

and `--set encode.crf=20`, `--set params.scale=2`, `--set run.threads=4` say the same on the
command line. Everything that starts neither with `params.` nor with `run.` names a node.

What the graph takes from a parameter has one value, whichever name it is set by: with
`crop: {config: {faces: $faces}}` in the graph, `crop.faces` is `params.faces`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypedDict, Unpack

from pydantic import BaseModel, ByteSize, ConfigDict, Field, field_validator

from aminet.settings import check_settings, read_settings, read_value, set_value
from pipeline.errors import ConfigError, GraphError
from pipeline.graph.build import build_graph
from pipeline.graph.graph import Graph
from pipeline.graph.spec import read_graph_spec
from pipeline.sizing.sizing import Wishes

__all__ = [
    "Flags",
    "GraphFlags",
    "RunConfig",
    "RunOptions",
    "available_graphs",
    "load_config",
    "load_graph",
    "merge_settings",
    "shipped_configs",
]

_DEFAULT_GRAPH: Final = "enhance"

# In a checkout they lie at the top; in an installed wheel, inside this package.
_CONFIG_DIRS = (Path(__file__).parent / "configs", Path(__file__).parent.parent / "configs")


class RunOptions(BaseModel):
    """How a graph is run.

    Of these only `segment_s` and `threads` reach what comes out: an encoder starts anew with each
    segment, and what some encoders make depends on their threads.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    runner: Literal["auto", "local", "ray"] = "auto"
    """`auto` takes Ray for several videos, a long one on many cores, or when `address` is set."""
    address: str | None = None
    """Ray cluster to join, such as `ray://head:10001` or `auto`; None starts one here."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads to use on this machine; None takes every core this process may use."""
    segment_s: float = Field(default=20.0, ge=0)
    """About how long a segment is; a video shorter than 1.5 of them is one, and 0 never cuts."""
    window_frames: int = Field(default=32, ge=2)
    """Frames of one video that may be under way at once: the bound on memory."""
    max_latency_s: float | None = Field(default=2.0, gt=0)
    """Frames of a live source that have waited longer are left out and counted; None keeps all."""
    max_wait_s: float = Field(default=0.004, ge=0)
    """How long a batch of faces may wait for more."""
    block_frames: int = Field(default=8, ge=1)
    """Frames whose faces travel together to an enhancer under Ray."""
    workers: int | None = Field(default=None, ge=1)
    """Segment workers under Ray; None sizes them from the cluster."""
    enhancers: int | None = Field(default=None, ge=1)
    """Enhancer actors under Ray; None sizes them from the cluster."""
    enhancer_gpus: float | None = Field(default=None, ge=0)
    """GPUs of each enhancer under Ray: 0.5 puts two on each, 0 uses none; None gives each one."""
    store_mb: int | None = Field(default=None, ge=1)
    """Megabytes of faces that may be under way in Ray's object store; None takes 30 % of it."""
    scratch_dir: Path | None = None
    """Where each machine keeps copies of what is in object stores; None takes its temporary folder.
    """
    scratch_bytes: ByteSize = ByteSize(50_000_000_000)
    """How much may lie there, such as `20GB`; who finds no space waits."""
    attempts: int = Field(default=3, ge=1)
    """How often a segment is tried under Ray when its worker dies."""

    @field_validator("scratch_dir")
    @classmethod
    def _same_on_every_machine(cls, folder: Path | None) -> Path | None:
        # Workers elsewhere have other working folders.
        return None if folder is None else folder.absolute()

    @property
    def wishes(self) -> Wishes:
        """What is asked for of the sizes under Ray."""
        return Wishes(
            workers=self.workers,
            enhancers=self.enhancers,
            enhancer_gpus=self.enhancer_gpus,
            store_bytes=self.store_mb and self.store_mb * 1_000_000,
        )


class RunConfig(BaseModel):
    """Everything a run depends on besides its input."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    graph: str = _DEFAULT_GRAPH
    """Name of a graph that ships with the program, or a graph file."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the graph."""
    nodes: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """For each node name, configuration that replaces the graph's."""
    run: RunOptions = Field(default_factory=RunOptions)


class GraphFlags(TypedDict, total=False):
    """The flags that are parameters of the graph of the same name; None means "not given"."""

    scale: int | None
    """Output pixels per source pixel, 1 to 4."""
    strength: float | None
    """How much of the restoration is applied, 0 to 1."""
    faces: str | int | None
    """`all`, the `largest`, or so many of the largest in each frame."""
    from_s: float | str | None
    """Begin at the first frame at or after that time: seconds from the first picture, or text such
    as `01:30`."""
    to_s: float | str | None
    """End before the first frame at or after that time."""
    evidence: bool | None
    """Lose nothing, and let the same input and settings give the same bytes, however it is run."""


class Flags(GraphFlags, total=False):
    """All flags that `enhance` and `plan` have in common; the rest are the run's options."""

    runner: str | None
    """`auto`, `local` or `ray`."""
    address: str | None
    """Ray cluster to join."""


def merge_settings(
    file: str | os.PathLike[str] | None, settings: Iterable[str], **flags: Unpack[Flags]
) -> RunConfig:
    """Merge the levels of configuration, with the highest one as a command's flags.

    Args:
        file: a run's YAML file.
        settings: `dotted.key=value` texts.
        flags: see `Flags`.

    Raises:
        ConfigError: see `load_config`.
        TypeError: there is no such flag.
    """
    known = Flags.__annotations__
    for name in flags.keys() - known.keys():
        raise TypeError(f"unexpected argument {name!r}; expected one of {', '.join(known)}")
    dotted = {
        f"params.{name}" if name in GraphFlags.__annotations__ else f"run.{name}": value
        for name, value in flags.items()
    }
    return load_config(Path(file) if file else None, settings, dotted)


def load_config(
    file: Path | None = None,
    settings: Iterable[str] = (),
    flags: Mapping[str, Any] | None = None,
) -> RunConfig:
    """Merge the levels of configuration.

    Args:
        file: a run's YAML file.
        settings: `dotted.key=value` texts; values are read as YAML.
        flags: dotted keys and their values, None meaning "not given".

    Raises:
        ConfigError: a level cannot be read, has an unknown key or an impossible value, or sets one
            value twice.
        GraphError: the graph's file cannot be read.
    """
    data = read_settings(file, "configuration", ConfigError) if file else {}
    graph = (flags or {}).get("graph") or data.get("graph", _DEFAULT_GRAPH)
    bound = read_graph_spec(_graph_file(graph)).bound_keys() if isinstance(graph, str) else {}
    _bring_to_parameters(data, bound)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or "." not in key:
            raise ConfigError(f"--set {setting!r}: expected NODE.KEY=VALUE, such as encode.crf=20")
        value = read_value(setting, text, ConfigError)
        set_value(data, _path_of(key.strip(), bound), value, ConfigError)
    for key, value in (flags or {}).items():
        if value is not None:
            set_value(data, _path_of(key, bound), value, ConfigError)
    return check_settings(RunConfig, data, str(file) if file else "", ConfigError)


def load_graph(config: RunConfig) -> Graph:
    """Build the graph a configuration names, with its parameters and node settings.

    Raises:
        ConfigError: there is no such graph.
        GraphError: the graph is not valid with these settings.
    """
    spec = read_graph_spec(_graph_file(config.graph))
    return build_graph(spec, params=config.params, overrides=config.nodes)


def _graph_file(graph: str) -> Path:
    named = {path.stem: path for path in available_graphs()}
    path = named.get(graph) or Path(graph)
    if path.suffix not in {".yaml", ".yml"}:
        raise ConfigError(
            f"no graph {graph!r}: expected one of {', '.join(named)}, or a .yaml file"
        )
    return path


def available_graphs() -> list[Path]:
    """Return the graph files that ship with the program."""
    graphs = shipped_configs("graphs")
    if not graphs:
        raise GraphError("the graphs that ship with the program are missing: install it again")
    return graphs


def shipped_configs(folder: str) -> list[Path]:
    """Return the YAML files that ship in a folder of `configs`, such as `graphs` or `train`."""
    folders = (top / folder for top in _CONFIG_DIRS)
    return next((sorted(folder.glob("*.yaml")) for folder in folders if folder.is_dir()), [])


def _path_of(dotted: str, bound: Mapping[tuple[str, str], str]) -> list[str]:
    """Return the keys that lead to `a.b.c`; a first part that is no section names a node."""
    path = dotted.split(".")
    path = path if path[0] in RunConfig.model_fields else ["nodes", *path]
    if path[0] == "nodes" and len(path) > 2 and (path[1], path[2]) in bound:
        return ["params", bound[path[1], path[2]], *path[3:]]
    return path


def _bring_to_parameters(data: dict[str, Any], bound: Mapping[tuple[str, str], str]) -> None:
    """Set the parameters by which a file's settings of nodes are bound in the graph."""
    nodes = data.get("nodes")
    for (node, key), param in bound.items():
        settings = nodes.get(node) if isinstance(nodes, dict) else None
        if not isinstance(settings, dict) or key not in settings:
            continue
        value, params = settings.pop(key), data.setdefault("params", {})
        if isinstance(params, dict) and params.setdefault(param, value) != value:
            raise ConfigError(
                f"{node}.{key} is {value!r} and params.{param} is {params[param]!r}, but they are"
                " one value: leave one of them out"
            )
