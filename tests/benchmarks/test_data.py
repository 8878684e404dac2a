"""The texts of recorded tables."""

import gzip
import json
import shutil
from pathlib import Path
from textwrap import dedent

import pytest

from benchmarks.tabular import data


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that stands for the standard library; ``types`` and ``re`` are held out."""
    source = '''
        class Outer:
            """A class has no signature."""

            def method(self, *, flag=True) -> int:
                """Return
                the first line. And more.

                A paragraph.
                """

            class Inner:
                async def wait(self):
                    """Wait for v1.2 to end."""

        def silent(): ...

        def unfinished():
            """No full stop"""
    '''
    (tmp_path / "types.py").write_text(dedent(source))
    for name in ("re/__init__.py", "re/tests/test_all.py", "json/decoder.py", "empty.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("" if name == "empty.py" else f"# {name}\n")
    monkeypatch.setattr(data, "LIBRARY", tmp_path)
    return tmp_path


def test_a_package_is_held_out_as_a_whole_and_tests_are_left_out(library: Path) -> None:
    assert [path for path, _ in data.sources(held_out=True)] == ["re/__init__.py", "types.py"]
    assert [path for path, _ in data.sources(held_out=False)] == ["json/decoder.py"]
    assert data.pretraining_texts()[0] == "# json/decoder.py\n"


def test_an_answer_is_the_first_sentence_of_a_docstring(library: Path) -> None:
    assert list(data.answers()) == [
        {
            "prompt": "types.Outer.method(self, *, flag=True)\n",
            "completion": "Return the first line.",
        },
        {"prompt": "types.Outer.Inner.wait(self)\n", "completion": "Wait for v1.2 to end."},
    ]


def test_pre_training_sees_no_text_of_the_recorded_runs() -> None:
    one_line = 40  # characters; two packages consist of the same line of comment
    held_out = {source for _, source in data.sources(held_out=True) if len(source) > one_line}
    assert len(held_out) > 100
    assert held_out.isdisjoint(data.pretraining_texts())
    packages = [
        {path.split("/")[0] for path, _ in data.sources(held_out)} for held_out in (True, False)
    ]
    assert packages[0].isdisjoint(packages[1])


def test_the_same_library_gives_the_same_files(tmp_path: Path) -> None:
    for name, records in (("code", data.code), ("answers", data.answers)):
        data.write(records(), tmp_path / f"{name}.jsonl")
        written = (tmp_path / f"{name}.jsonl").read_bytes()
        data.write(records(), tmp_path / f"{name}.jsonl")
        assert (tmp_path / f"{name}.jsonl").read_bytes() == written
        assert list(map(json.loads, written.decode().splitlines())) == list(records())


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
def test_a_page_is_its_long_paragraphs(tmp_path: Path) -> None:
    paragraph = "Dieser Absatz hat viele Wörter, die \\fBfett\\fP oder anders\n" + "wichtig " * 10
    page = f".TH X 1\n.SH BEZEICHNUNG\nx \\- kurz\n.SH BESCHREIBUNG\n{paragraph}sind.\n.PP\nKurz.\n"
    (tmp_path / "man1").mkdir()
    (tmp_path / "man1/x.1.gz").write_bytes(gzip.compress(page.encode()))
    (tmp_path / "man1/y.1.gz").symlink_to("x.1.gz")
    expected = f"Dieser Absatz hat viele Wörter, die fett oder anders {'wichtig ' * 10}sind."
    assert list(data.german(tmp_path)) == [{"text": expected}]
