"""Configuration of a run: defaults < YAML file < `--set` < flags.

A run's YAML file has the sections of `RunConfig`:

    graph: enhance
    params: {scale: 2}
    nodes: {encode: {crf: 20}}
    run: {threads: 4}

On the command line this is `--set encode.crf=20`, `--set params.scale=2`, `--set run.threads=4`.
Keys that start neither with `params.` nor with `run.` begin with the name of a node.

A setting that the graph takes from a parameter is the same as the parameter: with
`crop: {config: {faces: $faces}}` in the graph, `crop.faces` and `params.faces` are one value.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypedDict, Unpack

from pydantic import ByteSize, Field, ValidationError, field_validator

from aminet.setting_errors import wrong_values
from aminet.settings import Settings, check_settings, read_settings, read_value, set_value
from pipeline.errors import ConfigError, GraphError
from pipeline.graph.build import build_graph
from pipeline.graph.files import available_graphs, graph_file, shipped_configs
from pipeline.graph.graph import Graph
from pipeline.graph.locations import Keys, counted_from, file_settings, keys_of_files
from pipeline.graph.reading import read_graph_spec, say_where
from pipeline.graph.spec import GraphSpec
from pipeline.sizing.sizing import Wishes

__all__ = [
    "Flags",
    "GraphFlags",
    "RunConfig",
    "RunOptions",
    "available_graphs",
    "flag_key",
    "load_config",
    "load_graph",
    "merge_settings",
    "shipped_configs",
]

_DEFAULT_GRAPH: Final = "enhance"

_HOST_AND_PORT: Final = re.compile(r"(?:ray://)?[\w\[][\w.:%\]-]{0,252}:(\d{1,5})", re.ASCII)
"""An address that Ray can join."""


class RunOptions(Settings):
    """How a graph is run.

    Only `segment_s` and `threads` affect the output: encoders are restarted for each segment, and
    the output of some depends on the number of threads.
    """

    runner: Literal["auto", "local", "ray"] = "auto"
    """`auto` uses Ray for several videos, for a long one on many cores, or if `address` is set."""
    address: str | None = None
    """Ray cluster to join, such as `ray://head:10001` or `auto`; None starts one here."""
    threads: int | None = Field(default=None, ge=1, le=256)
    """CPU threads to use on this machine; None uses all cores available to this process."""
    segment_s: float | None = Field(default=None, ge=0, le=1e8)
    """Approximate length of a segment, s. None: a twentieth of the video, but 20 to 60. A video
    shorter than 1.5 segments is not split; 0 never splits."""
    window_frames: int = Field(default=32, ge=2, le=10_000)
    """Most frames of a segment in flight."""
    window_mb: int = Field(default=128, ge=1, le=10**9)
    """Most megabytes of pictures of a segment in flight, but at least two frames: bounds memory."""
    max_latency_s: float | None = Field(default=2.0, gt=0, le=1e8)
    """Frames of a live source that have waited for longer, s, are dropped and counted; None keeps
    all."""
    max_wait_s: float = Field(default=0.004, ge=0, le=60)
    """How long a batch waits for more faces, s."""
    block_frames: int = Field(default=8, ge=1, le=10_000)
    """Frames whose faces are sent to an enhancer together, under Ray."""
    workers: int | None = Field(default=None, ge=1, le=100_000)
    """Segment workers under Ray; None computes it from the cluster."""
    enhancers: int | None = Field(default=None, ge=1, le=100_000)
    """Enhancer actors under Ray; None computes it from the cluster."""
    enhancer_gpus: float | None = Field(default=None, ge=0, le=1024)
    """GPUs per enhancer under Ray: 0.5 puts two on a GPU, 0 uses CPUs; None is 1."""
    store_mb: int | None = Field(default=None, ge=1, le=10**9)
    """Most megabytes of faces in flight; None is 30 % of the smallest object store under Ray, 32 in
    the local runner."""
    scratch_dir: Path | None = None
    """Folder for local copies of stored files, on each machine; None is its temporary folder."""
    scratch_bytes: ByteSize = Field(default=ByteSize(50_000_000_000), ge=0, le=10**18)
    """Most bytes in it, such as `20GB`; processes wait for free space."""
    page: bool = True
    """Write the report as a page for a person, too: HTML, with everything in it."""
    sign_cert: Path | None = None
    """PEM file of a certificate, and those above it, to sign the outputs with (Content
    Credentials); None: the file that `AMINET_SIGN_CERT` names, if any."""
    sign_key: Path | None = None
    """PEM file of its private key; None: the file that `AMINET_SIGN_KEY` names."""
    sign_tsa: str | None = None
    """URL of a timestamp authority (RFC 3161), which is asked for each signature; None: that of
    `AMINET_SIGN_TSA`, or none."""
    attempts: int = Field(default=3, ge=1, le=1000)
    """Most attempts for a segment under Ray whose worker dies."""

    @field_validator("address")
    @classmethod
    def _can_be_joined(cls, address: str | None) -> str | None:
        """Refuse what Ray would take minutes over."""
        if address is None or address == "auto":
            return address
        found = _HOST_AND_PORT.fullmatch(address)
        if found is None or not 0 < int(found[1]) < 1 << 16:
            raise ValueError("expected HOST:PORT, ray://HOST:PORT or auto")
        return address

    @field_validator("scratch_bytes", mode="before")
    @classmethod
    def _no_truth_value(cls, size: object) -> object:
        """Refuse what pydantic's `ByteSize` takes for 1."""
        if isinstance(size, bool):
            raise ValueError("expected a number of bytes, such as 20GB")
        return size

    @field_validator("scratch_dir")
    @classmethod
    def _same_on_every_machine(cls, folder: Path | None) -> Path | None:
        # Workers have other working folders.
        return None if folder is None else folder.absolute()

    @property
    def wishes(self) -> Wishes:
        """The sizes that are configured for Ray."""
        return Wishes(
            workers=self.workers,
            enhancers=self.enhancers,
            enhancer_gpus=self.enhancer_gpus,
            store_bytes=self.store_mb and self.store_mb * 1_000_000,
        )


class RunConfig(Settings):
    """The whole configuration of a run."""

    graph: str | GraphSpec = _DEFAULT_GRAPH
    """Name of a graph that ships with the program, a graph file (in a run's file counted from where
    that lies), or the graph itself."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the graph."""
    nodes: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Settings that replace those in the graph, by node name."""
    run: RunOptions = Field(default_factory=RunOptions)


class GraphFlags(TypedDict, total=False):
    """The graph, and the flags that are parameters of it by the same name; None: not given."""

    graph: str | os.PathLike[str] | Mapping[str, Any] | GraphSpec | None
    """What to run: see `RunConfig.graph`; a mapping is what a graph file holds."""

    scale: int | None
    """Output pixels per source pixel, 1 to 4."""
    look: str | None
    """`faithful`, or `sharp`, which is generative."""
    strength: float | None
    """Share of the restoration to apply, 0 to 1."""
    faces: str | int | None
    """`all`, `largest`, or how many of the largest faces in each frame."""
    from_s: float | str | None
    """Start at the first frame at or after this time: seconds from the first picture, or text such
    as `01:30`."""
    to_s: float | str | None
    """End before the first frame at or after this time."""
    video: int | None
    """Index of the video stream to read; None: the best one."""
    evidence: bool | None
    """Encode without loss, and make the output reproducible byte for byte."""
    change_map: bool | None
    """Write a second video that shows what was changed."""
    label: bool | None
    """Draw a tag beside each restored face."""


class Flags(GraphFlags, total=False):
    """The flags of `enhance` and `plan`."""

    runner: str | None
    """`auto`, `local` or `ray`."""
    address: str | None
    """Ray cluster to join."""
    sign_cert: str | os.PathLike[str] | None
    """Certificate to sign the outputs with; see `RunOptions.sign_cert`."""
    sign_key: str | os.PathLike[str] | None
    """Its private key."""
    sign_tsa: str | None
    """URL of a timestamp authority to ask for each signature."""


def flag_key(name: str) -> str:
    """Return the key of a `RunConfig` that a flag sets, such as `params.scale`."""
    return f"params.{name}" if name in GraphFlags.__annotations__ else f"run.{name}"


def merge_settings(
    file: str | os.PathLike[str] | None, settings: Iterable[str], **flags: Unpack[Flags]
) -> RunConfig:
    """Merge the levels of configuration, with flags as keyword arguments.

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
    graph = flags.pop("graph", None)
    dotted: dict[str, Any] = {flag_key(name): value for name, value in flags.items()}
    if isinstance(graph, Mapping):
        graph = check_settings(GraphSpec, graph, "graph", GraphError)
    dotted["graph"] = os.fspath(graph) if isinstance(graph, os.PathLike) else graph
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
        flags: values by dotted key; None means "not given".

    Raises:
        ConfigError: a level cannot be read, has an unknown key or an invalid value, or sets one
            value twice.
        GraphError: the graph file cannot be read.
    """
    data = read_settings(file, "configuration", ConfigError) if file else {}
    if file and isinstance(data.get("graph"), str):
        data["graph"] = str(graph_file(data["graph"], file.parent))
    spec = _spec_of((flags or {}).get("graph") or data.get("graph", _DEFAULT_GRAPH))
    bound = {} if spec is None else spec.bound_keys()
    _bring_to_parameters(data, bound)
    if file:
        data = counted_from(file.parent, data, _file_keys(spec))
    # A text is a sequence of texts, too.
    for setting in (settings,) if isinstance(settings, str) else settings:
        key, equals, text = setting.partition("=")
        if not equals or "." not in key:
            raise ConfigError(f"--set {setting!r}: expected NODE.KEY=VALUE, such as encode.crf=20")
        value = read_value(setting, text, ConfigError)
        set_value(data, _path_of(key.strip(), bound), value, ConfigError)
    for key, value in (flags or {}).items():
        if value is not None:
            set_value(data, _path_of(key, bound), value, ConfigError)
    try:
        return check_settings(RunConfig, data, str(file) if file else "", ConfigError, file=file)
    except ConfigError as error:
        if isinstance(error.__cause__, ValidationError):
            error.wrong = wrong_values(error.__cause__, RunConfig)
        raise


def load_graph(config: RunConfig) -> Graph:
    """Build the graph of a configuration.

    Raises:
        ConfigError: there is no such graph.
        GraphError: the graph is not valid with these settings.
    """
    if isinstance(config.graph, GraphSpec):
        return build_graph(config.graph, params=config.params, overrides=config.nodes)
    path = graph_file(config.graph)
    try:
        return build_graph(read_graph_spec(path), params=config.params, overrides=config.nodes)
    except GraphError as error:
        say_where(error, path)
        raise


def _spec_of(graph: object) -> GraphSpec | None:
    if isinstance(graph, str):
        return read_graph_spec(graph_file(graph))
    return graph if isinstance(graph, GraphSpec) else None


def _file_keys(spec: GraphSpec | None) -> Keys:
    """Return where a run's file has names of files."""
    own = {("run", name) for name in file_settings(RunOptions)}
    graph = frozenset[tuple[str, ...]]() if spec is None else keys_of_files(spec)
    # What a graph's file has under `nodes.NODE.config`, a run's file has under `nodes.NODE`.
    return frozenset(own | {(*key[:2], *key[3:]) for key in graph})


def _path_of(dotted: str, bound: Mapping[tuple[str, str], str]) -> list[str]:
    """Split `a.b.c` into keys; a first part that is not a section is the name of a node."""
    path = dotted.split(".")
    path = path if path[0] in RunConfig.model_fields else ["nodes", *path]
    if path[0] == "nodes" and len(path) > 2 and (path[1], path[2]) in bound:
        return ["params", bound[path[1], path[2]], *path[3:]]
    return path


def _bring_to_parameters(data: dict[str, Any], bound: Mapping[tuple[str, str], str]) -> None:
    """Move a file's node settings that the graph takes from parameters to these parameters."""
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
