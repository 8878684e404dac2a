import subprocess
import sys
import time

import pytest

from ugro.cli.arguments import parse, words_of
from ugro.cli.commands import COMMANDS
from ugro.cli.main import main
from ugro.errors import UserError


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_the_commands(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["ugro", *arguments])
    main()
    shown = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert f"  {name} " in shown
        assert command.summary in shown


@pytest.mark.parametrize("name", [name for name, one in COMMANDS.items() if one.keys])
def test_help_of_a_command_lists_its_keys(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([name, "--help"])
    shown = capsys.readouterr().out
    words = COMMANDS[name].words
    assert shown.startswith(f"usage: ugro {name} [KEY=VALUE ...]{' PROMPT ...' if words else ''}\n")
    for key in COMMANDS[name].keys:
        assert f"  {key.name}={key.placeholder} " in shown


def test_help_imports_nothing_heavy_and_is_quick() -> None:
    script = """
import sys
from ugro.cli.main import main
main(["--help"]); main(["analyze", "--help"])
print(sorted({"hydra", "omegaconf", "optuna", "torch", "ray", "rich"} & {*sys.modules}))
"""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert time.monotonic() - began < 5  # 0.06 s on an idle machine


def test_an_unknown_command_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SystemExit, match=r"^error: command: 'analyse' given, allowed: train, sw"):
        main(["analyse"])


def test_keys_are_parsed_and_the_last_value_counts() -> None:
    given = ["study.name=a", "study.name=b=c", "storage="]
    assert parse("analyze", given) == {"study.name": "b=c"}
    dotted = ["tracking.wandb.mode=offline", "tracking=wandb"]
    assert parse("track", dotted) == {"tracking.wandb.mode": "offline", "tracking": "wandb"}


def test_words_are_told_from_keys() -> None:
    words = ["What is 2 + 2 = ?", "E=mc2", "-", "plain"]
    assert words_of(["study.name=a", *words, "max_new_token=3"]) == words


@pytest.mark.parametrize("argument", ["study=a", "study.name", "tracking.wandb=a", "-m"])
def test_an_unknown_key_is_refused_with_the_allowed_ones(argument: str) -> None:
    with pytest.raises(UserError) as error:
        parse("analyze", [argument])
    assert str(error.value) == (
        f"argument: {argument!r} given, allowed: storage, study.dir, study.name"
    )
