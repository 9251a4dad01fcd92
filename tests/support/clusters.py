"""A Ray cluster whose real autoscaler starts and ends real raylets, all of them on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray.util import get_node_ip_address

from tests.support.faults import descendants
from tests.support.ports import free_ports

__all__ = ["autoscaling_cluster"]

IDLE_MINUTES = 0.1
"""How long a machine may be idle before the autoscaler ends it."""


@contextmanager
def autoscaling_cluster(
    *, head_cpus: int, machine_cpus: int, most_machines: int, env: Mapping[str, str]
) -> Generator[str]:
    """Run a head and its autoscaler; yields the cluster's address.

    `ray.cluster_utils.AutoscalingCluster` is of no use: it wants a file that Ray's wheel lacks, and
    begins and ends with `ray stop --force`, which kills every Ray on the machine.

    Args:
        head_cpus: cores of the head.
        machine_cpus: cores of each machine that the autoscaler may start.
        most_machines: how many of those there may be at once.
        env: for every process of the cluster, beside this one's.
    """
    host, (port, client_port) = get_node_ip_address(), free_ports(2)
    # Ray's sockets lie below it, whose names must be short.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
        config = Path(folder, "autoscaler.json")
        config.write_text(
            json.dumps(_config(f"{host}:{port}", head_cpus, machine_cpus, most_machines)),
            encoding="utf-8",
        )
        head = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("ray")),
                *("start", "--head", "--block", "--include-dashboard=false"),
                *("--disable-usage-stats", "--object-store-memory=200000000"),
                *(f"--num-cpus={head_cpus}", f"--node-ip-address={host}", f"--port={port}"),
                *(f"--ray-client-server-port={client_port}", f"--temp-dir={folder}"),
                f"--autoscaling-config={config}",
            ],
            cwd=folder,
            env={
                **os.environ,
                "RAY_FAKE_CLUSTER": "1",
                "AUTOSCALER_UPDATE_INTERVAL_S": "1",
                "RAY_AUTH_MODE": "disabled",  # else a token that lies in the home is asked for
                "PYTHONUNBUFFERED": "1",
                **env,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            _wait_for(head)
            yield f"{host}:{port}"
        finally:
            _end(head)


def _config(gcs: str, head_cpus: int, machine_cpus: int, most_machines: int) -> dict[str, Any]:
    """Return what `ray start --autoscaling-config` reads; most of it may be empty, not absent."""
    lists = (
        "cluster_synced_files initialization_commands setup_commands head_setup_commands"
        " worker_setup_commands head_start_ray_commands worker_start_ray_commands rsync_exclude"
        " rsync_filter"
    )
    return {
        "cluster_name": "autoscaling",
        "max_workers": most_machines,
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": IDLE_MINUTES,
        "provider": {
            "type": "fake_multinode",
            "gcs_address": gcs,
            "use_node_id_as_ip": True,  # they all have the same
            "disable_node_updaters": True,  # there is nothing to install, and no SSH
            "disable_launch_config_check": True,
        },
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {
                "resources": {"CPU": head_cpus},
                "node_config": {},
                "max_workers": 0,
            },
            "machine": {
                "resources": {"CPU": machine_cpus, "object_store_memory": 200_000_000},
                "node_config": {},
                "min_workers": 0,
                "max_workers": most_machines,
            },
        },
        "file_mounts_sync_continuously": False,
        **{name: {} for name in ("auth", "file_mounts", "head_node", "worker_nodes")},
        **{name: [] for name in lists.split()},
    }


def _wait_for(head: subprocess.Popen[str]) -> None:
    """Wait until the head says that it is up."""
    said: list[str] = []
    for line in head.stdout or ():
        said.append(line)
        if "Ray runtime started" in line:
            return
    raise RuntimeError(f"ray start failed: {''.join(said)}")


def _end(head: subprocess.Popen[str]) -> None:
    """End the head and what its autoscaler started, which would outlive it."""
    started = list(descendants(head.pid))
    head.terminate()
    head.communicate(timeout=60)
    for pid in started:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it has ended with the head
