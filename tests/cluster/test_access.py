"""Access to a cluster with Ray's token and TLS."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..faults.sweeps import Sweep, check_complete, events, swept, wait_for
from ..stores import free_port
from .conftest import STORE, on

pytestmark = pytest.mark.long

TOKEN = "0123456789abcdef-canary-fedcba9876543210"
RAY = str(Path(sys.executable).with_name("ray"))
HERE = "127.0.0.1"


@contextmanager
def head(environment: Mapping[str, str], node: str = HERE) -> Iterator[str]:
    """Start a cluster of one node as in ``deploy/ray-cluster.yaml``; yield its address."""
    address = f"{node}:{free_port()}"
    start = [RAY, "start", "--head", "--block", "--num-cpus=2"]
    start += [f"--port={address.partition(':')[2]}", f"--object-store-memory={STORE}"]
    start += ["--include-dashboard=false", "--disable-usage-stats"]
    environment = {**os.environ, **environment}
    node = subprocess.Popen(start, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(address, environment))
        yield address
    finally:
        node.terminate()
        node.wait(60)


def answers(address: str, environment: Mapping[str, str]) -> bool:
    """Whether the cluster accepts a client with this environment."""
    check = [RAY, "health-check", f"--address={address}"]
    return subprocess.run(check, env=environment, capture_output=True, check=False).returncode == 0


def test_a_cluster_with_a_token_accepts_only_clients_with_it(tmp_path: Path) -> None:
    known = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    with head(known) as address:
        swept(tmp_path, *on(address, 2), faults={"steps": 2}, environment=known)
        check_complete(tmp_path, 2)
        assert not answers(address, {**os.environ, "RAY_AUTH_MODE": "disabled"})
        other, log = {**known, "RAY_AUTH_TOKEN": "another"}, tmp_path / "rejected.log"
        with Sweep(tmp_path, on(address, 3), environment=other, log=log) as rejected:
            assert rejected.ends() == 1
        last = log.read_text().splitlines()[-1]
        assert last.startswith(f"hydra.launcher.ray.init.address: '{address}' given")
        assert "RAY_AUTH_TOKEN" in last
        assert "Traceback" not in log.read_text()
    check_complete(tmp_path, 2)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in written if TOKEN.encode() in path.read_bytes()]


@pytest.fixture
def certified(tmp_path: Path) -> tuple[str, dict[str, str]]:
    """This node's address, and the environment of a client with a certificate."""
    import ray

    node = ray.util.get_node_ip_address()
    key, certificate = tmp_path / "tls" / "key.pem", tmp_path / "tls" / "certificate.pem"
    key.parent.mkdir()
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    make += ["-subj", "/CN=ugro", "-addext", f"subjectAltName=IP:{node},IP:{HERE}"]
    make += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(make, check=True, capture_output=True)
    return node, {
        "RAY_USE_TLS": "1",
        "RAY_TLS_SERVER_KEY": str(key),
        "RAY_TLS_SERVER_CERT": str(certificate),
        "RAY_TLS_CA_CERT": str(certificate),
    }


def test_a_cluster_with_tls_accepts_only_clients_with_a_certificate(
    certified: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    node, tls = certified
    known = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    with head({**known, **tls}, node) as address:
        swept(tmp_path, *on(address, 2), faults={"steps": 2}, environment={**known, **tls})
        assert not answers(address, {**os.environ, **known})
    check_complete(tmp_path, 2)


def test_a_local_ray_requires_a_token_by_default(tmp_path: Path) -> None:
    gate, study = tmp_path / "gate", tmp_path / "multirun" / "s"
    here = ["study.name=s", "lora.r=2,4", "hydra.launcher.ray.remote.num_gpus=0"]
    with Sweep(tmp_path, here, {"steps": 2, "gate": str(gate)}) as sweep:
        wait_for(lambda: events(study, "TrialStarted"))
        known = {**os.environ, "RAY_AUTH_MODE": "token"}  # with this user's own token
        address = find_address(sweep.process.pid, known)
        assert not answers(address, {**known, "RAY_AUTH_TOKEN": "another"})
        gate.touch()
        assert sweep.ends() == 0, sweep.output()


def find_address(driver: int, environment: Mapping[str, str]) -> str:
    """Return the address of a driver's local cluster."""
    import psutil

    below = psutil.Process(driver).children(recursive=True)
    [control] = [child for child in below if child.name().startswith("gcs_server")]
    connections = control.net_connections(kind="tcp")
    ports = {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}
    return next(at for port in ports if answers(at := f"{HERE}:{port}", environment))
