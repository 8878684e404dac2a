"""The pages point to what is there."""

import re
from pathlib import Path

import pytest

from .conftest import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))]
FOLDERS = "ugro|tests|conf|benchmarks|deploy|docs|examples"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    generated = {"reference.md", "commands.md"}  # by docs/hooks.py
    local = [one for one in links if "://" not in one and one not in generated]
    assert [one for one in local if not (page.parent / one).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_in_the_text_exist(page: Path) -> None:
    paths = re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", page.read_text())
    given = [one for one in paths if not re.search(r"[A-Z]{3}", one)]  # NAME, GROUP: placeholders
    assert [one for one in given if not (ROOT / one).exists()] == []
