"""Starting or joining a Ray cluster, and listing its machines."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import ray
from ray._private.authentication.authentication_token_setup import (
    maybe_enable_token_auth_if_token_available,
)
from ray._private.state import available_resources_per_node
from ray.util import client
from ray.util.placement_group import (
    PlacementGroup,
    placement_group,
    placement_group_table,
    remove_placement_group,
)

import aminet
import nodes
from pipeline.cluster.probe import asks_for_token, probe
from pipeline.errors import ClusterError
from pipeline.interrupts import interruptible, keeping_sigterm
from pipeline.sizing.sizing import Machine
from pipeline.sizing.spare import Claims, SpareCapacity

__all__ = ["Demand", "connect", "free_machines", "machines"]

_SUBMITTED: Final = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray in jobs that were started by `ray job submit`."""

_ABOUT_TOKENS: Final = (
    "; if the cluster asks for a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN or"
    " RAY_AUTH_TOKEN_PATH, if it has none, RAY_AUTH_MODE=disabled"
)
_REFUSED: Final = (
    "; it asks for a token, of which this machine may have none or another one: if so, set"
    " RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to the one with which it was"
    " started"
)

_PACKAGES: Final = (aminet.__file__, nodes.__file__, __file__)


def connect(address: str | None, threads: int) -> bool:
    """Start or join a cluster.

    Args:
        address: of the cluster to join; None starts one on this machine.
        threads: cores of a cluster that is started here.

    Returns:
        Whether this process must shut Ray down at the end; not if it was connected before.

    Raises:
        ClusterError: the cluster cannot be started or joined.
    """
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a run contacts no one else
    logging.getLogger("ray").setLevel(logging.ERROR)  # before `init` sets its level
    about = "" if address is None else _ABOUT_TOKENS
    try:
        if address is None:
            # Without an address ray.init() would join the last cluster of this machine.
            _init(
                address="local",
                num_cpus=threads,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        elif _SUBMITTED in os.environ:
            # The packages come from the job's runtime environment.
            _init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        else:
            with_token = _asks_for_token(address)
            # `ray.init` uses this machine's token for a cluster that it starts, but not for one
            # that it joins, unless RAY_AUTH_MODE says so.
            if with_token:
                about = _REFUSED
                maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
            quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
            _init(address=address, runtime_env=_packages(), **quiet)
    except Exception as error:  # Ray raises a bare one when its own start takes too long
        where = "start Ray on this machine" if address is None else f"join Ray at {address!r}"
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ClusterError(
            f"cannot {where}: {reason}{about}; --runner local works without"
        ) from error
    return True


def _asks_for_token(address: str) -> bool:
    with interruptible():
        probe(address)
        return asks_for_token(address)


def _packages() -> dict[str, Any]:
    """Return the runtime environment that sends the packages to the workers.

    `nodes` and `pipeline` are common names, and paths may differ between machines.
    """
    return {"py_modules": [str(Path(file or "").parent) for file in _PACKAGES]}


def _init(**settings: Any) -> None:
    with keeping_sigterm():
        ray.init(**settings)


def free_machines(address: str) -> list[Machine]:
    """Join a cluster, return the resources that are free for a new run, and leave it again.

    Raises:
        ClusterError: the cluster cannot be joined.
    """
    joined = connect(address, threads=1)
    try:
        return SpareCapacity().left(machines())
    finally:
        if joined:
            ray.shutdown()


def machines() -> list[Machine]:
    """Return the live machines of the cluster, in a stable order."""
    # Ray's client (ray://) cannot ask what is free.
    free = {} if client.ray.is_connected() else available_resources_per_node()
    return [
        Machine(
            name=node["NodeID"],
            cpus=node["Resources"].get("CPU", 0.0),
            gpus=node["Resources"].get("GPU", 0.0),
            store_bytes=int(node["Resources"].get("object_store_memory", 0)),
            free_cpus=_of(free.get(node["NodeID"]), "CPU"),
            free_gpus=_of(free.get(node["NodeID"]), "GPU"),
        )
        for node in sorted(ray.nodes(), key=lambda node: node["NodeID"])
        if node["Alive"]
    ]


def _of(free: Mapping[str, float] | None, kind: str) -> float | None:
    """Return how much of a resource is free, None if unknown; used-up ones are not listed."""
    return None if free is None else free.get(kind, 0.0)


class Demand:
    """Requests resources from an autoscaler, by pending placement groups.

    They are removed when the driver ends in any way, whereas `ray.autoscaler.sdk.request_resources`
    would outlive a killed driver and keep machines running. Without an autoscaler they have no
    effect.
    """

    def __init__(self) -> None:
        self._asked: list[tuple[dict[str, float], PlacementGroup]] = []

    @property
    def claims(self) -> Mapping[str, Claims]:
        """The resources of placement groups that were placed and not yet removed, by machine."""
        table = placement_group_table()
        claims: dict[str, Claims] = {}
        for bundle, group in self._asked:
            found = table.get(group.id.hex(), {})
            if found.get("state") == "CREATED":
                (machine,) = found["bundles_to_node_id"].values()
                more = Claims(bundle["CPU"], bundle.get("GPU", 0.0))
                claims[machine] = claims.get(machine, Claims()) + more
        return claims

    def ask(self, bundles: Sequence[dict[str, float]]) -> None:
        """Replace the current requests."""
        left = list(bundles)
        for request in list(self._asked):
            bundle, group = request
            if bundle in left:
                left.remove(bundle)
                if not group.wait(0):
                    continue
                # The resources are there now, and are needed by the actors.
            self._asked.remove(request)
            remove_placement_group(group)
        self._asked += [(bundle, placement_group([bundle])) for bundle in left]
