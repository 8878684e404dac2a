"""What cannot be started here: checked by its own schema, and read as its engine reads it."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from ..conftest import ROOT

FOLDER = ROOT / "deploy"
KUBERAY = FOLDER / "kuberay"
PINNED = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if "==" in line and not line.startswith("#")
)


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def of_kind(kind: str) -> dict[str, Any]:
    found = [one for path in KUBERAY.glob("*.yaml") for one in documents(path)]
    return next(one for one in found if one["kind"] == kind)


def pods(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    groups = [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]
    return [group["template"] for group in groups]


def compose() -> dict[str, Any]:
    return documents(FOLDER / "services" / "compose.yaml")[0]


def test_ray_parses_the_file_for_machines() -> None:
    from ray.autoscaler._private.commands import _bootstrap_config
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = prepare_config(documents(FOLDER / "ray-cluster.yaml")[0])
    validate_config(config)
    asked = _bootstrap_config(config, no_config_cache=True)
    assert asked["max_workers"] == len(asked["provider"]["worker_ips"])
    for commands in (asked["head_start_ray_commands"], asked["worker_start_ray_commands"]):
        [start] = [one for one in commands if " start " in one]
        assert "RAY_AUTH_MODE=token" in start
    assert set(asked["file_mounts"]) == {"~/ugro", "~/.ray/auth_token"}


def test_rays_autoscaler_reads_the_cluster_on_kubernetes() -> None:
    from ray.autoscaler._private.kuberay.autoscaling_config import (
        _derive_autoscaling_config_from_ray_cr,
    )

    cluster = of_kind("RayCluster")
    cluster["metadata"]["namespace"] = "default"
    kinds = _derive_autoscaling_config_from_ray_cr(cluster)["available_node_types"]
    assert kinds["headgroup"]["resources"]["CPU"] == kinds["headgroup"]["resources"]["GPU"] == 0
    assert kinds["gpu"]["resources"]["GPU"] == 1
    assert (kinds["gpu"]["min_workers"], kinds["gpu"]["max_workers"]) == (0, 16)


def test_kubernetes_own_schemas_find_no_fault() -> None:
    import kubernetes_validate

    version = kubernetes_validate.latest_version()
    made = [of_kind("PersistentVolumeClaim")]
    for template in pods(of_kind("RayCluster")):
        made.append({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, **template})
    for one in made:
        kubernetes_validate.validate(one, version, strict=True)
    wrong = {**made[-1], "spec": {"containers": [{"name": "one", "imagee": "two"}]}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, version, strict=True)


def test_the_sweep_on_kubernetes_is_one_that_works(tmp_path: Path) -> None:
    job = of_kind("RayJob")["spec"]
    assert job["clusterSelector"] == {"ray.io/cluster": of_kind("RayCluster")["metadata"]["name"]}
    [command] = re.findall(r"exec python train\.py -m (.*)'", " ".join(job["entrypoint"].split()))
    plan = [sys.executable, str(ROOT / "train.py"), "-m", *command.split(), "study.dry_run=true"]
    done = subprocess.run(plan, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_compose_file_follows_its_specification() -> None:
    path = FOLDER / "services" / "compose.yaml"
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*check, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_services_are_heard_on_loopback_alone_tell_their_health_and_hold_no_password() -> None:
    stays = {name: one for name, one in compose()["services"].items() if "restart" in one}
    assert set(stays) == {"database", "store", "mlflow", "prometheus", "grafana"}
    for one in stays.values():
        assert one["healthcheck"]["test"]
        assert all(port.startswith("127.0.0.1:") for port in one.get("ports", []))
    text = json.dumps(compose())
    for secret in re.findall(r"^(\w+)=$", example(), re.MULTILINE):
        assert re.search(r"\$\{" + secret + r":\?", text), secret


def example() -> str:
    return (FOLDER / "services" / "example.env").read_text()


def test_versions_are_those_of_the_tests() -> None:
    ray = PINNED["ray"]
    assert of_kind("RayCluster")["spec"]["rayVersion"] == ray
    assert f"FROM rayproject/ray:{ray}-" in (FOLDER / "Dockerfile").read_text()
    server = compose()["services"]["mlflow"]["build"]["dockerfile_inline"]
    assert f"mlflow:v{PINNED['mlflow']}" in server
    for name in ("mlflow[auth]", "psycopg[binary]", "boto3"):
        assert f"{name}=={PINNED[name.partition('[')[0]]}" in server
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    images = {pod["spec"]["containers"][0]["image"] for pod in pods(of_kind("RayCluster"))}
    assert {image.rpartition(":")[2] for image in images} == {version}
    every = [one["image"] for one in compose()["services"].values() if "image" in one]
    assert all(re.search(r":v?\d+(\.\d+)+$", image) for image in every)


def test_the_image_has_all_that_a_trial_needs() -> None:
    lets_in = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert all((ROOT / one).exists() for one in lets_in)
    assert {"conf", "ugro", "train.py", "constraints.txt", "pyproject.toml"} <= set(lets_in)
