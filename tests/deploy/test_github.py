"""The GitHub workflow is valid and runs what .ci/run does."""

import subprocess
import sys

from ..conftest import ROOT

WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"


def test_the_workflow_follows_the_schema_and_calls_ci_run() -> None:
    schema = ["--builtin-schema", "vendor.github-workflows"]
    check = [sys.executable, "-m", "check_jsonschema", *schema, str(WORKFLOW)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ".ci/run" in WORKFLOW.read_text()
