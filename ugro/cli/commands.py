"""The commands of ``ugro`` and their keys; imports nothing heavy, so that ``--help`` is quick."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ANY = "KEY"  # ends the name of a key that stands for many: tracking.KEY


@dataclass(frozen=True)
class Key:
    """One ``name=value`` argument of a command, with its allowed values if they are few."""

    name: str
    placeholder: str
    summary: str
    choices: tuple[str, ...] = ()

    def accepts(self, name: str) -> bool:
        """Report whether an argument of this name sets the key."""
        if self.name.endswith(f".{ANY}"):
            return name.startswith(self.name.removesuffix(ANY))
        return name == self.name


@dataclass(frozen=True)
class Command:
    """One command.

    Its module is ``ugro.cli.<name>``, with ``_`` for ``-``, unless it runs Hydra or names another.
    """

    summary: str
    keys: tuple[Key, ...] = ()
    # Whether it takes the overrides of `train` as well.
    overrides: bool = False
    # Arguments that turn `train` into this command; None: the command has keys of its own.
    hydra: tuple[str, ...] | None = None
    module: str = ""  # in ugro.cli
    words: Key | None = None  # arguments that are no keys


STUDY = (
    Key("study.name", "NAME", "the study; by default the latest one in multirun/"),
    Key("study.dir", "FOLDER", "its folder; by default multirun/NAME"),
)
STORAGE = Key("storage", "URL", "its Optuna storage; by default study.db in its folder")
PORT = Key("port", "PORT", "port on 127.0.0.1")

COMMANDS: Mapping[str, Command] = {
    "train": Command("train one LoRA", hydra=()),
    "sweep": Command("search over configurations", hydra=("-m",)),
    "plan": Command("print what a sweep would do", hydra=("-m", "study.dry_run=true")),
    "check": Command("check that a sweep would work", hydra=("-m", "study.preflight=true")),
    "show-data": Command(
        "print an example of the data as the model is trained on it",
        (
            Key("index", "NUMBER", "the document, from 0, the default"),
            Key("part", "NAME", "train, the default, eval or test"),
        ),
        overrides=True,
    ),
    "analyze": Command("write and show the results of a study", (*STUDY, STORAGE)),
    "compare": Command(
        "compare several studies",
        (
            Key("study", "[A,B]", "two studies or more: names in multirun/, or folders"),
            Key("storage", "URL", "an Optuna storage that holds all of them"),
            Key("to", "FOLDER", "output folder; by default multirun/comparison-A-B"),
        ),
    ),
    "import": Command(
        "make a study of another program's trials: Optuna's or W&B's",
        (
            Key("storage", "URL", "the Optuna storage with the trials"),
            Key("study.name", "NAME", "the study in it; by default its only one"),
            Key("wandb", "PATH", "a CSV file of W&B runs, or a folder of their folders"),
            Key("objective", "[A,B]", "names of the objectives; {theirs: ours} renames W&B's"),
            Key(
                "direction",
                "[A,B]",
                "minimize or maximize, for each objective of W&B's runs",
                ("minimize", "maximize"),
            ),
            Key("keys", "{NAME: KEY}", "keys of parameters: {lr: training.learning_rate}"),
            Key("as", "NAME", "name of the new study; by default that of the study or file"),
        ),
        module="import_study",
    ),
    "figures": Command(
        "write a study's figures as PNG or SVG files",
        (
            *STUDY,
            STORAGE,
            Key("format", "FORMAT", "png, the default, or svg"),
            Key("figure", "NAME", "a single figure, such as cost; by default all"),
        ),
    ),
    "reproduce": Command(
        "run a trial again and compare its numbers",
        (
            *STUDY,
            STORAGE,
            Key("trial", "NUMBER", "the trial"),
            Key("to", "FOLDER", "new output folder; by default in reproduced/ of the study"),
            Key(
                "tolerance",
                "SHARE",
                "largest relative difference; by default 0 on an equal CPU, or 0.001",
            ),
        ),
    ),
    "export": Command(
        "write a trial as a model to serve or share, with its model card",
        (
            *STUDY,
            STORAGE,
            Key("trial", "NUMBER", "the trial; by default the best"),
            Key("to", "FOLDER", "new or empty folder"),
            Key(
                "format",
                "FORMAT",
                "adapter (PEFT), the default; merged (transformers); gguf (llama.cpp, Ollama)",
                ("adapter", "merged", "gguf"),
            ),
            Key(
                "dtype",
                "DTYPE",
                "fp32, bf16 or fp16; by default bf16, and fp32 for an adapter",
                ("fp32", "bf16", "fp16"),
            ),
            Key("converter", "FILE", "llama.cpp's convert_hf_to_gguf.py, for format=gguf"),
            Key("push", "ORG/NAME", "also upload to this new, private repository on the hub"),
        ),
    ),
    "try": Command(
        "compare answers of base model, baseline and best trial",
        (
            *STUDY,
            STORAGE,
            Key("trial", "NUMBER", "another trial than the best"),
            Key("max_new_tokens", "NUMBER", "maximum length of an answer; by default 64"),
        ),
        module="try_prompts",
        words=Key("PROMPT", "", "text, in quotes; several are allowed; - reads lines from stdin"),
    ),
    "audit": Command("print a study's events and check them against its record", (*STUDY, STORAGE)),
    "backup": Command(
        "copy a study's record, also while a sweep runs",
        (*STUDY, STORAGE, Key("to", "FILE", "the copy; by default in backups/ of the study")),
    ),
    "track": Command(
        "send a study's missing events to its trackers",
        (
            *STUDY,
            Key("tracking", "[A,B]", "trackers; by default those that the study ran with"),
            Key("uri", "URI", "another MLflow server"),
            Key("tracking.KEY", "VALUE", "a tracker's setting, as of `ugro train`"),
        ),
    ),
    "mlflow": Command(
        "open the latest study's trials in MLflow",
        (PORT, Key("uri", "URI", "MLflow's store; by default sqlite:///multirun/mlflow.db")),
    ),
    "dashboard": Command("open a study in optuna-dashboard", (*STUDY, STORAGE, PORT)),
    "completion": Command("print the script that completes commands: bash, zsh or fish"),
}


def usage() -> str:
    """Return the help text of ``ugro``."""
    rows = [(name, command.summary) for name, command in COMMANDS.items()]
    more = "Keys of a command: ugro COMMAND --help"
    return f"usage: ugro COMMAND [KEY=VALUE ...]\n\n{_columns(rows)}\n\n{more}"


def usage_of(name: str) -> str:
    """Return the help text of a command."""
    command = COMMANDS[name]
    words = f" {command.words.name} ..." if command.words else ""
    head = f"usage: ugro {name} [KEY=VALUE ...]{words}\n\n{command.summary.capitalize()}."
    if not command.keys:
        return head
    rows = [(f"{key.name}={key.placeholder}", key.summary) for key in command.keys]
    rows += [(command.words.name, command.words.summary)] if command.words else []
    if command.overrides:
        rows.append(("KEY=VALUE", "of the configuration, as of `ugro train`"))
    return f"{head}\n\n{_columns(rows)}"


def _columns(rows: Sequence[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows) + 2
    return "\n".join(f"  {name:<{width}}{summary}" for name, summary in rows)
