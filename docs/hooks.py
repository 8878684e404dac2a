"""MkDocs hooks: generate the reference, and include pages that live outside of ``docs/``."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from omegaconf import OmegaConf

from ugro.cli.commands import COMMANDS, usage, usage_of
from ugro.config.reference import Key, default, keys, uses
from ugro.plugins.sweeper import StreamingRayLauncherConf, StreamingSweeperConf

ROOT = Path(__file__).parents[1]
CONF, PACKAGE, RESULTS = ROOT / "conf", ROOT / "ugro", ROOT / "benchmarks" / "results"
INTRODUCTION = """# Every key

Generated from the schema, `ugro/config/`. Set a key as `name=value` on the command line; with
`-m`, `name=a,b` and the syntax of [search spaces](search_spaces.md) search it. Below each key are
its type, or the allowed values, and its unit. A default with names in parentheses is that of these
options of its group; *set by the option* means that each file in `conf/GROUP/` has its own. *Read
by* names modules of `ugro/`.
"""
COMMANDS_HEAD = """# Commands

`ugro` works from any folder; `python train.py` and `python train.py -m` are `ugro train` and
`ugro sweep` in a checkout. The following texts are those of `ugro --help` and
`ugro COMMAND --help`. Shell completion: `eval "$(ugro completion bash)"`, or `zsh`; for fish,
`ugro completion fish | source`.
"""
LAUNCHER = """
The keys of `hydra.launcher.ray` are those of the upstream Ray launcher:
[Your cluster](production.md).
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated references, the results of the benchmarks and the top-level pages."""
    pages = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
    pages["serve.md"] = "examples/serve.md"
    texts = {page: (ROOT / source).read_text() for page, source in pages.items()}
    texts |= {"reference.md": reference(), "commands.md": commands()}
    for name, text in texts.items():
        files.append(File.generated(config, name, content=text))
    for path in sorted(RESULTS.rglob("*")):
        if path.suffix in (".md", ".png"):
            page = f"results/{path.relative_to(RESULTS)}"
            files.append(File.generated(config, page, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Redirect links between ``docs/`` and the rest of the repository to pages of the site."""
    inside = re.sub(r"\]\((?:\.\./benchmarks/(?=results/)|docs/)", "](", markdown)
    inside = inside.replace("](../examples/serve.md)", "](serve.md)")
    return inside.replace("](../CONTRIBUTING.md)", "](contributing.md)")


def reference() -> str:
    """Write the page of every key."""
    sections: dict[str, list[Key]] = {"": []}
    for key in keys():
        sections.setdefault(key.name.rpartition(".")[0], []).append(key)
    lines = [INTRODUCTION]
    for section, members in sections.items():
        rows = [(key, default(key, CONF), uses(key, PACKAGE)) for key in members]
        lines += [f"## {section or 'Top level'}\n", *_table(rows), ""]
    sweeper: Any = OmegaConf.to_container(OmegaConf.load(CONF / "hydra/sweeper/streaming.yaml"))
    for name, schema, values in (
        ("hydra.sweeper", StreamingSweeperConf, sweeper),
        ("hydra.launcher", StreamingRayLauncherConf, {}),
    ):
        described = [key for key in keys(schema, f"{name}.") if key.description]
        rows = [(key, _given(key, values), []) for key in described]
        lines += [f"## {name}\n", *_table(rows), ""]
    return "\n".join([*lines, LAUNCHER])


def commands() -> str:
    """Write the page of the commands: their own help texts."""
    parts = [COMMANDS_HEAD, _block(usage())]
    for name in COMMANDS:
        parts += [f"## ugro {name}\n", _block(usage_of(name))]
    return "\n".join(parts)


def _block(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines()) + "\n"


def _given(key: Key, values: dict[str, Any]) -> str:
    value = values.get(key.name.rpartition(".")[2])
    return key.fallback if value is None else f"`{value}`"


def _table(rows: list[tuple[Key, str, list[str]]]) -> Iterator[str]:
    yield "| key | description | default | read by |"
    yield "|---|---|---|---|"
    for key, value, modules in rows:
        kind = f"{key.type}; {key.unit}" if key.unit else key.type
        read = "<br>".join(f"`{one.removeprefix('ugro/')}`" for one in modules[:3])
        cells = (f"`{key.name}`<br>{kind}", key.description, value, read)
        yield "| " + " | ".join(one.replace("|", "\\|") for one in cells) + " |"
