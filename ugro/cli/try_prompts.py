"""Print answers of base model, baseline and best trial: ``ugro try study.name=NAME "PROMPT"``."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ugro.cli.arguments import parse, words_of
from ugro.cli.study_lookup import StudyLocation, find_study
from ugro.cli.trained_trial import TrainedTrial, of_record, silence_libraries, trained_trial
from ugro.config import register_schema
from ugro.errors import UserError, fault
from ugro.formatting import printable
from ugro.plugins.sweeper import register_plugins
from ugro.study.trial_record import source

STDIN = "-"
NEW_TOKENS = 64
BASE = "base model"
NOTHING = "(no text)"  # the first token ended the answer


@dataclass(frozen=True)
class Answers:
    """Answers of one model.

    Attributes:
        model: name of the model
        texts: an answer per prompt
    """

    model: str
    texts: Sequence[str]


def main(arguments: list[str]) -> None:
    """Print the answers of base model, baseline and best trial to each prompt.

    Args:
        arguments: the study, ``trial=NUMBER`` instead of the best, ``max_new_tokens=NUMBER``, and
            prompts; ``-`` stands for the lines of stdin

    Raises:
        UserError: there is no such trial, it has no adapter, there is no prompt, or a key is wrong.
    """
    register_schema()
    register_plugins()
    words = words_of(arguments)
    given = parse("try", [one for one in arguments if one not in words])
    length = _length(given.get("max_new_tokens", str(NEW_TOKENS)))
    where = find_study(given)
    chosen = trained_trial(where, given.get("trial"))
    prompts = list(_prompts(words))
    if not prompts:
        raise UserError(fault("prompt", None, "one or more texts, or - for the lines of stdin"))
    show(prompts, _answers(where, chosen, given, prompts, length), Console(emoji=False))


def _length(given: str) -> int:
    if not given.isdigit() or int(given) < 1:
        raise UserError(fault("max_new_tokens", given, "1 or more"))
    return int(given)


def _prompts(words: Sequence[str]) -> Iterator[str]:
    for word in words:
        if word == STDIN:
            yield from (line.rstrip("\n") for line in sys.stdin if line.strip())
        elif word:
            yield word


def _answers(
    where: StudyLocation,
    chosen: TrainedTrial,
    given: Mapping[str, str],
    prompts: Sequence[str],
    length: int,
) -> list[Answers]:
    from ugro.trial.side_by_side import answers_of_trial

    silence_libraries()
    baseline = _baseline(where, chosen)
    asked = partial(answers_of_trial, prompts=prompts, max_new_tokens=length)
    found: list[Answers] = []
    if baseline is not None:
        _, answers = asked(*baseline.model, with_base=False)
        found.append(Answers(_name(baseline, is_best=False), answers))
    before, after = asked(*chosen.model, with_base=True)
    found.append(Answers(_name(chosen, is_best="trial" not in given), after))
    return [Answers(BASE, before), *found]


def _name(trained: TrainedTrial, is_best: bool) -> str:
    is_baseline = source(trained.trial) == "baseline"
    roles = [*(["best"] if is_best else []), *(["baseline"] if is_baseline else [])]
    return f"trial {trained.trial.number}" + (f" ({', '.join(roles)})" if roles else "")


def _baseline(where: StudyLocation, chosen: TrainedTrial) -> TrainedTrial | None:
    """Return the baseline if it has an adapter and is another trial than the chosen one."""
    for trial in where.study().finished():
        if source(trial) == "baseline" and trial.number != chosen.trial.number:
            try:
                return of_record(where, trial)
            except UserError:  # it failed
                return None
    return None


def show(prompts: Sequence[str], answers: Sequence[Answers], console: Console) -> None:
    """Print a table per prompt with a column per model; plain lines where there is no terminal.

    Args:
        prompts: texts of the user
        answers: answers to them, by model
        console: to print to
    """
    for at, prompt in enumerate(prompts):
        if not console.is_terminal:
            _print_plain(prompt, [(one.model, one.texts[at]) for one in answers], console)
            continue
        table = Table(title=escape(prompt), title_justify="left", box=box.SIMPLE_HEAD, expand=True)
        for one in answers:
            table.add_column(escape(one.model), ratio=1, overflow="fold")
        table.add_row(*(escape(printable(one.texts[at]).strip() or NOTHING) for one in answers))
        console.print(table)


def _print_plain(prompt: str, answers: Sequence[tuple[str, str]], console: Console) -> None:
    for name, text in [("prompt", prompt), *answers]:
        indented = (printable(text).strip() or NOTHING).replace("\n", "\n  ")
        console.print(f"{name}: {indented}", markup=False, highlight=False, soft_wrap=True)
    console.print()
