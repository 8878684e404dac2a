"""What is printed to be pasted comes through a shell and Hydra's parser as it was."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as some

from ugro.cli.arguments import parse, words_of
from ugro.cli.commands import COMMANDS
from ugro.shell import (
    best_command,
    is_sweep,
    literal,
    override,
    python,
    this_command,
    train_command,
)

from .conftest import ROOT

# What a command line can hold: no NUL, no half of a surrogate pair; of Hydra's strings, one line.
TEXT = some.text(
    some.characters(exclude_characters="\0\n\r", exclude_categories=("Cs",)), max_size=12
) | some.sampled_from(["null", "8", "1e5", "true", "nan", "", " ", "a b", "a,b", "[a]", "{a:1}"])
AWKWARD = some.text("ab ,[]{}()=:'\"\\$#~!*?;&|<>`%@+-/", max_size=10)
NUMBERS = some.integers() | some.floats(allow_nan=False)
SCALARS = some.none() | some.booleans() | NUMBERS | TEXT | AWKWARD
VALUES = SCALARS | some.lists(SCALARS | some.lists(SCALARS, max_size=3), max_size=4)


def through_a_shell(words: str) -> list[str]:
    """The words as a POSIX shell would hand them on; tested against a real one below."""
    return shlex.split(words)


def read(given: str) -> object:
    """An override's value, as Hydra reads it."""
    parsed = OverridesParser.create().parse_override(given)
    assert not parsed.is_sweep_override()
    return parsed.value()


@settings(deadline=None)
@given(VALUES)
def test_a_value_is_read_back_as_it_was(value: object) -> None:
    [pasted] = through_a_shell(shlex.join([f"key={literal(value)}"]))
    back = read(pasted)
    assert back == value
    assert type(back) is type(value)


@settings(deadline=None)
@given(AWKWARD)
def test_a_text_that_is_nothing_in_hydras_grammar_is_quoted(text: str) -> None:
    back = read(override("key", text))
    try:
        expected = read(f"key={text}")
    except Exception:
        expected = text
    assert back == expected


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("[q_proj,v_proj]", "key=[q_proj,v_proj]"),
        ("all-linear", "key=all-linear"),
        ("it's", 'key="it\'s"'),
        ("a,b", 'key="a,b"'),
        (None, "key=null"),
        (True, "key=true"),
        (2e-5, "key=2e-05"),
        ([1, "a b"], "key=[1,a b]"),
    ],
)
def test_an_override_is_no_more_quoted_than_need_be(value: object, written: str) -> None:
    assert override("key", value) == written


def test_a_real_shell_hands_on_what_is_printed() -> None:
    words = [
        override("a.b", one) for one in ("$HOME", "it's", "a b", "[x,'y z']", "`id`", 'say "no"')
    ]
    shown = (
        f"{shlex.quote(sys.executable)} -c 'import sys; print(sys.argv[1:])' {shlex.join(words)}"
    )
    handed = subprocess.run(["sh", "-c", shown], capture_output=True, text=True, check=True)
    assert handed.stdout.strip() == str(words)


def test_sweeps_are_told_from_values() -> None:
    assert [
        is_sweep(one) for one in ("a=1,2", "a=choice(1,2)", "a=[1,2]", "a='1,2'", "~a", "a=(")
    ] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]


def test_the_interpreter_is_called_as_it_can_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert python() == "python"  # the environment is active
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(Path(sys.executable).parents[2])
    assert python() == str(Path(sys.executable).relative_to(Path.cwd()))
    monkeypatch.chdir(tmp_path)
    assert python() == sys.executable


def test_the_command_of_this_process_names_its_study(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "-m", "lora.target_modules=[a],[b]"])
    assert this_command("it's") == (
        "python train.py -m 'lora.target_modules=[a],[b]' 'study.name=\"it'\"'\"'s\"'"
    )
    monkeypatch.setattr(sys, "argv", ["train.py", "-m", "study.name=mine"])
    assert this_command("mine") == "python train.py -m study.name=mine"


@pytest.fixture(params=["ugro", "ugro/__main__.py"])
def _started_as_ugro(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As Hydra finds the arguments: ``ugro sweep`` is ``-m``."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    (tmp_path / "ugro").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [f"/anywhere/{request.param}", "-m", "lora.r=4,8"])


@pytest.mark.usefixtures("_started_as_ugro")
def test_commands_are_those_of_ugro_if_it_was_started_so() -> None:
    assert this_command("mine") == "ugro sweep lora.r=4,8 study.name=mine"
    assert best_command("a b") == "ugro train --config-dir 'a b' experiment=best"
    assert train_command(sweep=True) == ["ugro", "sweep"]


@pytest.mark.usefixtures("_started_as_ugro")
def test_ugro_is_called_as_it_can_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(tmp_path)
    assert train_command(exact=True) == ["ugro", "train"]
    monkeypatch.chdir(tmp_path.parent)
    assert train_command(exact=True) == [f"{tmp_path.name}/ugro", "train"]
    (tmp_path / "ugro").unlink()
    assert train_command(exact=True) == [f"{tmp_path.name}/python", "-m", "ugro", "train"]


def test_without_train_py_commands_are_those_of_ugro(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ugro.shell.is_checkout", lambda: False)
    assert train_command() == ["ugro", "train"]
    monkeypatch.setattr(sys, "argv", ["train.py"])
    assert train_command() == ["python", "train.py"]


def test_the_best_of_a_folder_of_any_name_is_trained_again() -> None:
    words = shlex.split(best_command("my studies/a,b"))
    assert words == ["python", "train.py", "--config-dir", "my studies/a,b", "experiment=best"]


def test_what_is_printed_and_written_of_make_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    written = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("ugro/**/*.py")]
    used = [
        (path.name, target)
        for path in written
        for target in re.findall(r"(?:^ {4}|[`:;] ?)make ([a-z-]+)", path.read_text(), re.MULTILINE)
    ]
    assert len(used) > 10
    assert [one for one in used if one[1] not in {*targets, "room"}] == []  # "make room"


def lines(page: Path) -> list[str]:
    """The lines of a page; what goes on after a backslash is one line, comments are left out."""
    text = re.sub(r" \\\n +", " ", page.read_text())
    return [line.partition("   #")[0].rstrip() for line in text.splitlines()]


UGRO = [
    line.strip()
    for page in (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")))
    for line in lines(page)
    if line.startswith("    ugro ") and not line.startswith("    ugro --help")
]


@pytest.mark.parametrize("snippet", ["ugro analyze study.name=NAME", *UGRO])
def test_commands_of_ugro_on_the_pages_can_be_pasted(snippet: str) -> None:
    _, name, *arguments = shlex.split(snippet.partition(" < ")[0])
    assert name in COMMANDS
    command = COMMANDS[name]
    words = words_of(arguments) if command.words else []
    keys = [word for word in arguments if word not in words]
    if command.overrides:
        own = {key.name for key in command.keys}
        for word in [word for word in keys if word.partition("=")[0] not in own]:
            OverridesParser.create().parse_override(word)
            keys.remove(word)
    if command.keys:
        parse(name, keys)


SNIPPETS = [
    line.strip()
    for page in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))
    for line in lines(page)
    if line.startswith("    python ")
]


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_commands_of_the_pages_can_be_pasted(snippet: str) -> None:
    words = shlex.split(snippet)
    if words[1] == "-m":
        module = ROOT / f"{words[2].replace('.', '/')}.py"
        assert module.exists() or words[2] in ("pytest", "http.server", "pip"), snippet
        return
    assert (ROOT / words[1]).exists(), snippet
    for word in words[2:]:
        if not word.startswith("-") and "=" in word:
            OverridesParser.create().parse_override(word)
            group, _, option = word.partition("=")
            if (ROOT / "conf" / group).is_dir() and option != "best":
                assert (ROOT / "conf" / group / f"{option}.yaml").exists() or "/" in group, snippet
