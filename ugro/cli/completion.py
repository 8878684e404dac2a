"""Shell completion of commands, keys and study names: ``ugro completion bash|zsh|fish``.

Each script calls ``ugro completion query LINE``, which prints the candidates, one per line. A
complete word ends in a space; a key ends in ``=``.
"""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from itertools import chain

from ugro.cli.commands import ANY, COMMANDS, Key
from ugro.cli.study_folders import study_folders
from ugro.paths import group_options

# Readline splits words at "=" and ":" too: a candidate begins after the last of them.
BASH = r"""
_ugro() {
    local line="${COMP_LINE:0:COMP_POINT}" candidates
    local word="${line##* }"
    mapfile -t candidates < <("${COMP_WORDS[0]}" completion query "$line" 2>/dev/null)
    COMPREPLY=("${candidates[@]#"${word%"${word##*[=:]}"}"}")
}
complete -o default -o nospace -F _ugro ugro
""".strip()

ZSH = r"""
#compdef ugro
_ugro() {
    local -a candidates
    candidates=("${(@f)$($words[1] completion query "${(j: :)words[1,CURRENT]}" 2>/dev/null)}")
    (( ${#candidates} && ${#candidates[1]} )) && compadd -Q -S '' -- "${candidates[@]}" || _files
}
compdef _ugro ugro
""".strip()

FISH = r"""
complete -c ugro -f -a '(ugro completion query (commandline -cp) 2>/dev/null | string trim)'
""".strip()

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
USAGE = """usage: ugro completion bash|zsh|fish

Print a script that completes commands, keys and study names. To use it now and in new shells:

  bash   echo 'eval "$(ugro completion bash)"' >> ~/.bashrc
  zsh    echo 'eval "$(ugro completion zsh)"' >> ~/.zshrc    # after compinit
  fish   ugro completion fish > ~/.config/fish/completions/ugro.fish"""


def main(arguments: list[str]) -> None:
    """Print a shell's completion script, or the candidates for a line.

    Args:
        arguments: the shell's name, or ``query`` and the line up to the cursor
    """
    match arguments:
        case ["query", line]:
            query(line)
        case [shell] if shell in SCRIPTS:
            print(SCRIPTS[shell])
        case _:
            sys.exit(USAGE)


def query(line: str) -> None:
    """Print the candidates for the last word of a command line."""
    words = line.split()[1:]
    word = "" if line.endswith(" ") or not words else words.pop()
    for candidate in _candidates(words, word):
        if candidate.startswith(word):
            print(candidate)


def _candidates(words: list[str], word: str) -> Iterator[str]:
    if not words:
        return (f"{name} " for name in COMMANDS)
    command = COMMANDS.get(words[0])
    if command is None:
        return iter(())
    if command.hydra is not None and not word.startswith("study.name="):
        return _hydra_candidates(words[1:], word)
    if command.overrides:
        return chain(candidates(words[0], word), _hydra_candidates(words[1:], word))
    return candidates(words[0], word)


def candidates(command: str, word: str) -> Iterator[str]:
    """Generate the completions of a command's last word.

    Args:
        command: its name in ``COMMANDS``
        word: the word as typed so far
    """
    if command == "completion":
        yield from (f"{shell} " for shell in SCRIPTS)
        return
    name, equals, value = word.partition("=")
    keys = COMMANDS[command].keys or (Key("study.name", "NAME", ""),)
    if not equals:
        yield from (f"{one.name.removesuffix(ANY)}{_end(one)}" for one in keys)
        return
    for key in keys:
        if key.name == name:
            yield from _values(key, value)


def _end(key: Key) -> str:
    return "" if key.name.endswith(f".{ANY}") else "="


def _values(key: Key, value: str) -> Iterator[str]:
    """Generate a key's values; those of a list follow its last comma."""
    if key.name == "tracking":
        known = group_options(key.name)
    elif key.name in ("study", "study.name"):
        known = [folder.name for folder in study_folders()]
    else:
        known = list(key.choices)
    if not key.placeholder.startswith("["):
        yield from (f"{key.name}={one} " for one in known)
        return
    before, comma, _ = value.rpartition(",")
    start = f"{before}{comma}" if comma else "[" * value.startswith("[")
    given = before.removeprefix("[").split(",")
    yield from (f"{key.name}={start}{one}" for one in known if one not in given)


def _hydra_candidates(words: list[str], word: str) -> Iterator[str]:
    """Generate Hydra's completions: groups, options and keys of ``conf/``."""
    from ugro.cli.train import main as train

    line = " ".join(["ugro", *words, word])
    os.environ |= {"COMP_LINE": line, "COMP_POINT": str(len(line))}
    with redirect_stdout(io.StringIO()) as printed:
        train(["--shell-completion", "query=bash"])
    yield from printed.getvalue().split()
