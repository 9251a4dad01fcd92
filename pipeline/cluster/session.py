"""The Ray cluster itself: starting or joining it, and what its machines have."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import ray
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
from pipeline.errors import ClusterError
from pipeline.interrupts import keeping_sigterm
from pipeline.sizing.sizing import Machine
from pipeline.sizing.spare import Claims, SpareCapacity

__all__ = ["Demand", "connect", "free_machines", "machines"]

_SUBMITTED: Final = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray for what `ray job submit` runs."""

_PACKAGES: Final = (aminet.__file__, nodes.__file__, __file__)


def connect(address: str | None, threads: int) -> bool:
    """Start or join a cluster.

    Args:
        address: of the cluster to join; None starts one on this machine.
        threads: cores to give to a cluster started here.

    Returns:
        Whether this process is to leave it again; not if it was in one already.

    Raises:
        ClusterError: the cluster cannot be started or joined.
    """
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    logging.getLogger("ray").setLevel(logging.ERROR)  # it is chatty before init sets its own
    try:
        if address is None:
            # A bare ray.init() would join whatever cluster this machine last knew.
            _init(
                address="local",
                num_cpus=threads,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        elif _SUBMITTED in os.environ:
            # The job's own environment says where the packages come from.
            _init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        else:
            # The packages themselves travel: `nodes` and `pipeline` are common names, and a path
            # might mean something else on another machine.
            _init(
                address=address,
                runtime_env={"py_modules": [str(Path(file or "").parent) for file in _PACKAGES]},
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except Exception as error:  # Ray raises a bare one when its own start takes too long
        where = "start Ray on this machine" if address is None else f"join Ray at {address!r}"
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ClusterError(f"cannot {where}: {reason}; --runner local works without") from error
    return True


def _init(**settings: Any) -> None:
    with keeping_sigterm():
        ray.init(**settings)


def free_machines(address: str) -> list[Machine]:
    """Join a cluster, return what its machines have for a new run, and leave it again.

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
    """Return what each living machine of the cluster has, in an order that stays."""
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
    """Return how much is free, None if unknown; what is used up is not in it at all."""
    return None if free is None else free.get(kind, 0.0)


class Demand:
    """Lets an autoscaler know what is missing, as placement groups that wait for room.

    They end with the driver, however it ends; `ray.autoscaler.sdk.request_resources` would outlive
    a killed one and keep machines up. Where nothing grows they wait and harm nobody.
    """

    def __init__(self) -> None:
        self._asked: list[tuple[dict[str, float], PlacementGroup]] = []

    @property
    def claims(self) -> Mapping[str, Claims]:
        """For each machine, what has found room there and was not yet let go of."""
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
        """Ask for this from now on, instead of what was asked for before."""
        left = list(bundles)
        for request in list(self._asked):
            bundle, group = request
            if bundle in left:
                left.remove(bundle)
                if not group.wait(0):
                    continue
                # There is room now, which is for the actors.
            self._asked.remove(request)
            remove_placement_group(group)
        self._asked += [(bundle, placement_group([bundle])) for bundle in left]
