"""Uploads to the hub, whose place a server on loopback takes."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ..conftest import ROOT
from .hub_server import TOKEN, Hub, serving

UPLOAD = """
import sys
from ugro.cli.hub import check_target, upload
from ugro.cli.main import run

def main(given):
    check_target(given[0])
    print(upload(given[1], given[0], "a message"))

run(main, sys.argv[1:])
"""
LICENSE = """
from ugro.config import ModelConfig
from ugro.trial.export.base_license import license_of
print(license_of(ModelConfig(path="them/base")), license_of(ModelConfig(path="them/other")))
"""


def run(
    script: str, *arguments: str, address: str, token: str = TOKEN
) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the endpoint is read when huggingface_hub is imported."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    own = {"HF_ENDPOINT": address, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as home:
        return subprocess.run(
            [sys.executable, "-c", script, *arguments],
            env={**kept, **own, "HF_HOME": home, **({"HF_TOKEN": token} if token else {})},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture
def export(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").write_text("---\nlibrary_name: peft\n---\n# Mine\n")
    (tmp_path / "out" / "adapter_config.json").write_text("{}")
    return tmp_path / "out"


def test_a_folder_goes_into_a_new_private_repository(export: Path) -> None:
    with serving(Hub()) as hub:
        done = run(UPLOAD, "us/mine", str(export), address=hub.address)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == f"{hub.address}/us/mine"
    assert hub.private == {"us/mine": True}
    assert hub.files["us/mine"] == {
        ".gitattributes": b"",
        **{path.name: path.read_bytes() for path in export.iterdir()},
    }


def test_a_repository_with_files_is_not_overwritten(export: Path) -> None:
    with serving(Hub(files={"us/mine": {"README.md": b"theirs"}})) as hub:
        done = run(UPLOAD, "us/mine", str(export), address=hub.address)
    assert hub.files == {"us/mine": {"README.md": b"theirs"}}
    assert done.returncode == 1
    assert done.stderr == (
        "error: push: 'us/mine' given, allowed: a repository that is new, or empty and private\n"
    )


def test_a_public_repository_is_refused_even_if_empty(export: Path) -> None:
    empty = {"us/mine": {".gitattributes": b""}}
    with serving(Hub(files=empty)) as hub:
        done = run(UPLOAD, "us/mine", str(export), address=hub.address)
    assert done.returncode == 1
    assert "allowed: a repository that is new, or empty and private" in done.stderr
    assert hub.files == empty


@pytest.mark.parametrize(
    ("name", "token", "line"),
    [
        (
            "us/mine",
            "",
            "error: push: 'us/mine' needs a token: set HF_TOKEN, or run `hf auth login`",
        ),
        ("mine", TOKEN, "error: push: 'mine' given, allowed: ORG/NAME"),
        ("us/mine/more", TOKEN, "error: push: 'us/mine/more' given, allowed: ORG/NAME"),
        ("us/mine", "hf_wrong", "error: push: 'us/mine' failed ("),
    ],
)
def test_a_mistake_is_one_line(name: str, token: str, line: str, export: Path) -> None:
    with serving(Hub()) as hub:
        done = run(UPLOAD, name, str(export), address=hub.address, token=token)
    assert done.returncode == 1
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1
    assert hub.files == {}


def test_an_upload_that_is_refused_says_that_the_folder_is_complete(export: Path) -> None:
    with serving(Hub(refuses=True)) as hub:
        done = run(UPLOAD, "us/mine", str(export), address=hub.address)
    assert done.returncode == 1
    assert done.stderr.startswith("error: push: 'us/mine' failed (")
    assert done.stderr.endswith(f"{export} is complete\n")


def test_a_hub_that_is_away_is_one_line(export: Path) -> None:
    done = run(UPLOAD, "us/mine", str(export), address="http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.startswith("error: push: 'us/mine' cannot be reached (")
    assert done.stderr.count("\n") == 1


def test_the_hub_knows_the_licence_of_a_base_model() -> None:
    with serving(Hub(licenses={"them/base": "mit"})) as hub:
        done = run(LICENSE, address=hub.address)
    assert done.stdout == "mit None\n", done.stderr
