import subprocess
from pathlib import Path

from ugro import provenance


def test_commit_versions_and_machine_are_told() -> None:
    told = provenance.provenance()
    assert {"python", "torch", "peft", "host", "processor", "memory_mb"} <= set(told)
    assert all(isinstance(value, str) and value for value in told.values())


def test_changes_in_the_checkout_are_counted(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(provenance, "CODE", tmp_path)
    assert provenance._commit() == {}  # no checkout
    (tmp_path / "code.py").write_text("1")
    author = ["-c", "user.name=n", "-c", "user.email=e@e"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    clean = provenance._commit()
    assert len(clean["git_commit"]) == 40
    assert clean["git_dirty"] == "0"
    (tmp_path / "code.py").write_text("2")
    changed = provenance._commit()
    assert changed == {**clean, "git_dirty": "1", "git_diff": changed["git_diff"]}
    (tmp_path / "code.py").write_text("3")
    assert provenance._commit()["git_diff"] != changed["git_diff"]  # no less dirty, but otherwise
    (tmp_path / "code.py").write_text("2")
    assert provenance._commit() == changed
