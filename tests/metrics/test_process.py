import os
import subprocess
import sys
from pathlib import Path

import pytest

from ugro.errors import MetricError
from ugro.metrics.examples import GenerationExample
from ugro.metrics.process import call
from ugro.metrics.source import module_spec, source_digest

EXAMPLES = [GenerationExample("2+2=", [answer], "4", {"n": 1}) for answer in ("4", "5")]
MODULE = """
import os, sys, time

def share(examples):
    print("printed")
    return [float(e.generation == e.reference) for e in examples]

def process(examples): return os.getpid()
def fails(examples): raise ValueError("no\\nvalue")
def ends(examples): os._exit(3)
def leaves(examples): sys.exit("bye")
def hangs(examples): time.sleep(600)
def gives_text(examples): return "many"
def gives_arrays(examples):
    import numpy
    return {"each": numpy.array([1, 0]), "all": numpy.float32(0.5), "any": True}
def starts_another(examples):
    import subprocess
    subprocess.run(["sleep", "600.25"])
def gives_a_lock(examples):
    import threading
    return threading.Lock()
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of metric functions in the working folder; its name is new in each test."""
    name = f"mine_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return name


def test_a_function_of_the_working_folder_gets_the_examples(module: str) -> None:
    assert call("mine", f"{module}.share", EXAMPLES, 60) == [1.0, 0.0]
    assert module not in sys.modules  # it ran elsewhere


def test_a_process_serves_all_calls_of_a_function(module: str) -> None:
    first = call("mine", f"{module}.process", EXAMPLES, 60)
    assert first != os.getpid()
    assert call("mine", f"{module}.process", EXAMPLES, 60) == first


def test_a_changed_source_is_loaded_anew(module: str, tmp_path: Path) -> None:
    before = source_digest(f"{module}.share")
    assert call("mine", f"{module}.share", EXAMPLES, 60) == [1.0, 0.0]
    (tmp_path / f"{module}.py").write_text("def share(examples): return 7")
    assert source_digest(f"{module}.share") != before
    assert call("mine", f"{module}.share", EXAMPLES, 60) == 7


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("fails", "ValueError: no value"),
        ("ends", "its process ended with exit code 3"),
        ("leaves", "SystemExit: bye"),
        ("gives_a_lock", "TypeError: a lock was returned, no number"),
        ("gives_text", "TypeError: a str was returned, no number"),
        ("nothing", "AttributeError: module '{module}' has no attribute 'nothing'"),
    ],
)
def test_what_goes_wrong_is_one_line(module: str, function: str, reason: str) -> None:
    with pytest.raises(MetricError) as raised:
        call("mine", f"{module}.{function}", EXAMPLES, 60)
    assert str(raised.value) == f"metrics.mine: {module}.{function}: {reason.format(module=module)}"


def test_a_function_that_hangs_is_killed(module: str) -> None:
    process = call("mine", f"{module}.process", EXAMPLES, 60)
    with pytest.raises(MetricError, match=r"hangs: no result within 0\.5 s"):
        call("mine", f"{module}.hangs", EXAMPLES, 0.5)
    assert call("mine", f"{module}.process", EXAMPLES, 60) == process  # others go on


def test_modules_are_found_without_importing_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    package = tmp_path / "loud"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    (package / "inner.py").write_text("def metric(examples): return 1")
    monkeypatch.chdir(tmp_path)
    found = module_spec("loud.inner.metric")
    assert found is not None
    assert found.origin == str(package / "inner.py")
    assert module_spec("loud.missing.metric") is None
    assert module_spec("missing.metric") is None


def test_arrays_are_lists_of_numbers(module: str) -> None:
    found = call("mine", f"{module}.gives_arrays", EXAMPLES, 60)
    assert found == {"each": [1.0, 0.0], "all": 0.5, "any": 1.0}
    assert type(found["all"]) is float


def test_what_a_function_started_ends_with_it(module: str) -> None:
    with pytest.raises(MetricError, match=r"no result within 1 s"):
        call("mine", f"{module}.starts_another", EXAMPLES, 1)
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert "sleep 600.25" not in running.stdout.splitlines()
