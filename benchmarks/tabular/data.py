"""Write the texts of recorded tables as JSON lines, from packages that anybody can install.

    python -m benchmarks.tabular.data code code.jsonl
    python -m benchmarks.tabular.data answers answers.jsonl
    apt-get download manpages-de && dpkg-deb -x manpages-de_*.deb pages
    python -m benchmarks.tabular.data german german.jsonl pages/usr/share/man/de

- code: the C++ headers of PyTorch's core library c10 and of its front end, a document each
- answers: functions of a quarter of the modules of Python's standard library: the completion is the
  first sentence of the docstring
- german: paragraphs of Debian's manual in German, a document per page; needs groff

The small Llama is pre-trained on the other modules (pretrain.py). It has read no C++ and no German.
"""

import argparse
import ast
import gzip
import hashlib
import importlib.util
import json
import re
import subprocess
import sysconfig
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from pydoc_data import topics

LIBRARY = Path(sysconfig.get_path("stdlib"))
# Tests, other people's packages, and modules that consist of generated tables.
LEFT_OUT = {"site-packages", "test", "tests", "idle_test", "encodings", "pydoc_data"}
HELD_OUT_OF = 4  # every so many modules are held out of pre-training
GROFF = ("groff", "-K", "utf8", "-mandoc", "-T", "utf8", "-P", "-cbou", "-r", "LL=9999n")
PARAGRAPH = 120  # shorter lines are headings, lists of options and examples; characters


def code() -> Iterator[dict[str, str]]:
    """Yield PyTorch's headers, sorted by path."""
    found = importlib.util.find_spec("torch")  # without the seconds that its import takes
    assert found is not None
    assert found.origin is not None
    include = Path(found.origin).parent / "include"
    for path in sorted([*include.glob("c10/**/*.h"), *include.glob("torch/csrc/api/**/*.h")]):
        yield {"text": path.read_text("utf-8")}


def answers() -> Iterator[dict[str, str]]:
    """Yield the functions and methods with a docstring in modules held out of pre-training."""
    for path, source in sources(held_out=True):
        module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        try:
            tree = ast.parse(source)
        except SyntaxError:
            continue  # templates in Python 2
        yield from _functions(tree, module)


def _functions(node: ast.Module | ast.ClassDef, prefix: str) -> Iterator[dict[str, str]]:
    for inner in node.body:
        if isinstance(inner, ast.ClassDef):
            yield from _functions(inner, f"{prefix}.{inner.name}")
        elif isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
            paragraph = " ".join((ast.get_docstring(inner) or "").split("\n\n")[0].split())
            sentence = re.match(r".+?\.(?= |$)", paragraph)
            if sentence:
                signature = f"{prefix}.{inner.name}({ast.unparse(inner.args)})"
                yield {"prompt": f"{signature}\n", "completion": sentence[0]}


def german(pages: Path) -> Iterator[dict[str, str]]:
    """Yield the paragraphs of each page below a folder of compressed manual pages."""
    for path in sorted(pages.rglob("*.gz")):
        if not path.is_symlink():  # another name of the same page
            lines = _rendered(gzip.decompress(path.read_bytes())).splitlines()
            long = [line.strip() for line in lines if len(line.strip()) >= PARAGRAPH]
            paragraphs = [re.sub(r"\s+", " ", line) for line in long if line.endswith(".")]
            if paragraphs:
                yield {"text": "\n".join(paragraphs)}


def _rendered(page: bytes) -> str:
    """Return a manual page as text, each paragraph on a line."""
    done = subprocess.run(GROFF, input=page, capture_output=True, check=True)
    return done.stdout.decode()


def pretraining_texts() -> list[str]:
    """Return the texts of pre-training: sources, and topics of the language reference."""
    return [text for _, text in sources(held_out=False)] + sorted(topics.topics.values())


def sources(held_out: bool) -> Iterator[tuple[str, str]]:
    """Yield path and source of the standard library's files, sorted by path.

    Args:
        held_out: files for recorded runs, or those for pre-training; a package belongs to one
    """
    for path in sorted(LIBRARY.rglob("*.py")):
        relative = path.relative_to(LIBRARY)
        if LEFT_OUT.isdisjoint(relative.parts) and _held_out(relative) == held_out:
            try:
                source = path.read_text("utf-8")
            except UnicodeDecodeError:
                continue  # a few files test other encodings
            if source.strip():
                yield relative.as_posix(), source


def _held_out(relative: Path) -> bool:
    """Draw by the checksum of the module's or package's name, which no version changes."""
    return zlib.crc32(relative.parts[0].removesuffix(".py").encode()) % HELD_OUT_OF == 0


def write(records: Iterable[dict[str, str]], path: Path) -> None:
    """Write records, and print their number, size and digest."""
    lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
    whole = "".join(lines).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(whole)
    digest = hashlib.sha256(whole).hexdigest()[:16]
    print(f"{path}: {len(lines):,} records, {len(whole):,} bytes, SHA-256 {digest}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tabular.data")
    which = parser.add_subparsers(dest="which", required=True)
    for name in ("code", "answers", "german"):
        which.add_parser(name).add_argument("path", type=Path)
    which.choices["german"].add_argument("pages", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    asked = _arguments()
    match asked.which:
        case "code":
            write(code(), asked.path)
        case "answers":
            write(answers(), asked.path)
        case _:
            write(german(asked.pages), asked.path)
