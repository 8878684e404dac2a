import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ugro.cli.commands import COMMANDS
from ugro.cli.completion import main, query


@pytest.fixture(autouse=True)
def _two_studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for at, name in enumerate(("first", "second")):
        database = Path("multirun", name, "study.db")
        database.parent.mkdir(parents=True)
        database.write_text("written")
        os.utime(database, (1000 + at, 1000 + at))


@pytest.mark.parametrize(
    ("line", "candidates"),
    [
        ("ugro ", [f"{name} " for name in COMMANDS]),
        ("ugro an", ["analyze "]),
        ("ugro analyze ", ["study.name=", "study.dir=", "storage="]),
        ("ugro analyze study.n", ["study.name="]),
        ("ugro analyze study.name=", ["study.name=second ", "study.name=first "]),
        ("ugro audit study.name=f", ["study.name=first "]),
        ("ugro sweep study.name=s", ["study.name=second "]),
        ("ugro compare study=[", ["study=[second", "study=[first"]),
        ("ugro compare study=[first,", ["study=[first,second"]),
        ("ugro track tracking.", ["tracking."]),
        ("ugro track tracking=w", ["tracking=wandb"]),
        ("ugro show-data pa", ["part="]),
        ("ugro export format=", ["format=adapter ", "format=merged ", "format=gguf "]),
        ("ugro export dtype=f", ["dtype=fp32 ", "dtype=fp16 "]),
        ("ugro try study.name=f", ["study.name=first "]),
        ("ugro completion z", ["zsh "]),
        ("ugro nonsense ", []),
    ],
)
def test_candidates_follow_from_the_line(
    line: str, candidates: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    query(line)
    assert capsys.readouterr().out.splitlines() == candidates


def test_an_unknown_shell_gets_the_usage() -> None:
    with pytest.raises(SystemExit, match="usage: ugro completion bash"):
        main(["tcsh"])


def installed(tmp_path: Path) -> dict[str, str]:
    """An environment in which ``ugro`` is this code."""
    script = tmp_path / "bin" / "ugro"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m ugro "$@"\n')
    script.chmod(0o755)
    return {**os.environ, "PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}"}


def completed(shell: str, script: str, environment: dict[str, str]) -> list[str]:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run(
        [found, *(["--norc"] if shell == "bash" else []), "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.splitlines()


BASH = """
eval "$(ugro completion bash)"
COMP_LINE={line!r}; COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=(ugro); COMPREPLY=()
_ugro
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("line", "replies"),
    [
        ("ugro back", ["backup "]),
        ("ugro analyze study.name=f", ["first "]),
        ("ugro train model=ti", ["tiny"]),
    ],
)
def test_bash_completes_what_follows_the_last_word_break(
    line: str, replies: list[str], tmp_path: Path
) -> None:
    assert completed("bash", BASH.format(line=line), installed(tmp_path)) == replies


def test_fish_completes_study_names(tmp_path: Path) -> None:
    script = "ugro completion fish | source; complete -C 'ugro analyze study.name=f'"
    assert completed("fish", script, installed(tmp_path)) == ["study.name=first"]


ZSH = """
autoload -Uz compinit && compinit -D
eval "$(ugro completion zsh)"
compadd() { print -rl -- "${@[5,-1]}" }
words=(ugro analyze study.name=f); CURRENT=3
$_comps[ugro]
"""


def test_zsh_completes_study_names(tmp_path: Path) -> None:
    assert completed("zsh", ZSH, installed(tmp_path)) == ["study.name=first "]
