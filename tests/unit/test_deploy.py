"""The files of configs/deploy that need more than this machine: their form, and their versions."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer.main
import yaml

from pipeline.cli.app import app
from pipeline.config import load_config
from tests.support import ROOT

DEPLOY = ROOT / "configs" / "deploy"


@pytest.fixture
def job() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "rayjob.yaml").read_text(encoding="utf-8"))


def pod_specs(job: dict[str, Any]) -> list[dict[str, Any]]:
    cluster = job["spec"]["rayClusterSpec"]
    return [g["template"]["spec"] for g in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]


def ray_version() -> str:
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    found = re.search(r"^ray==(.*)$", pins, re.MULTILINE)
    assert found is not None
    return found[1]


def test_the_job_has_what_kuberay_requires(job: dict[str, Any]) -> None:
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert job["metadata"]["generateName"].endswith("-")
    assert job["spec"]["shutdownAfterJobFinishes"] is True
    for group in job["spec"]["rayClusterSpec"]["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        assert isinstance(group["rayStartParams"], dict)
    for spec in pod_specs(job):
        (container,) = spec["containers"]
        assert container["resources"]["requests"] == container["resources"]["limits"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in spec["volumes"]}
    assert len({spec["containers"][0]["image"] for spec in pod_specs(job)}) == 1


def test_all_speak_of_the_ray_that_is_tested(job: dict[str, Any]) -> None:
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == ray_version()
    docker = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert f"FROM rayproject/ray:{ray_version()}-py311" in docker


def test_nobody_without_the_token_submits_to_the_cluster(job: dict[str, Any]) -> None:
    assert job["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}


def test_the_jobs_command_is_one_that_the_program_takes(job: dict[str, Any]) -> None:
    program, command, *words = shlex.split(job["spec"]["entrypoint"])
    assert (program, command) == ("aminet", "enhance")
    group: Any = typer.main.get_command(app)
    given = group.commands[command].make_context(command, words).params
    assert [*given["inputs"]] == ["s3://bucket/footage"]
    assert (given["output"], given["address"]) == ("s3://bucket/restored", "auto")
    run = load_config(None, given["settings"]).run
    assert str(run.scratch_dir) == "/scratch"
    size_limit = pod_specs(job)[0]["volumes"][0]["emptyDir"]["sizeLimit"]
    assert run.scratch_bytes < int(size_limit.removesuffix("Gi")) << 30
