from pathlib import Path

import pytest

from ugro.cli.audit import main
from ugro.errors import UserError
from ugro.events.events import StudyStarted, TrialAsked, TrialFinished, TrialReported
from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report, TrialResult
from ugro.observers.audit_log import AuditLog
from ugro.study.study import create_or_continue

FOLDER = Path("multirun/s")
PARAMETERS = {"lora.r": 8, "training.learning_rate": 0.00012345678}


@pytest.fixture(autouse=True)
def _a_study_and_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one complete trial."""
    monkeypatch.chdir(tmp_path)
    from optuna.distributions import FloatDistribution, IntDistribution

    storage = f"sqlite:///{FOLDER}/study.db"
    study = create_or_continue("s", storage, ["eval_loss"], ["minimize"])
    over = {"lora.r": IntDistribution(1, 64), "training.learning_rate": FloatDistribution(0, 1)}
    trial = study.start(PARAMETERS, over, "sampler")
    study.report(trial, 1024, 2.5)
    study.tell(trial, Outcome.COMPLETE, TrialResult((2.5,), {"eval_loss": 2.5}))
    log = AuditLog(FOLDER / "events.jsonl")
    log.observe(StudyStarted("s", str(FOLDER), 1, 0, ("eval_loss",), ("minimize",), time=0.0))
    log.observe(TrialAsked(0, PARAMETERS, "sampler", time=1.0))
    report = Report(1, 1, 1024, 1024, 1.0, {"eval_loss": 2.5}, 2.0)
    log.observe(TrialReported(0, report, None, time=2.0))
    log.observe(TrialFinished(0, Outcome.COMPLETE, (2.5,), {"eval_loss": 2.5}, time=3.0))


def test_every_event_is_a_line_and_that_all_agrees_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    main(["study.name=s"])
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 5
    assert " study  StudyStarted  name=s folder=multirun/s trials=1 finished=0" in said[0]
    assert " trial 0  TrialAsked  lora.r=8 training.learning_rate=0.000123457 sou" in said[1]
    assert "step=1 total_steps=1 tokens_seen=1024" in said[2]
    assert said[2].endswith("eval_loss=2.5")
    assert " trial 0  TrialFinished  ending=complete values=[2.5] eval_loss=2.5" in said[3]
    assert said[4] == "Log and study agree: 1 trials, 4 events."


def test_a_disagreement_is_told_and_the_exit_code_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = FOLDER / "events.jsonl"
    log.write_text(log.read_text().replace('"values": [2.5]', '"values": [2.25]'))
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 1
    told = "Disagreement: trial 0: values [2.25] in the log, [2.5] in the study\n"
    assert capsys.readouterr().err == told


def test_a_line_that_was_cut_off_is_told_and_borne(capsys: pytest.CaptureFixture[str]) -> None:
    log = FOLDER / "events.jsonl"
    log.write_text(log.read_text()[:-20])
    main(["study.name=s"])
    said = capsys.readouterr().out.splitlines()
    assert said[-2] == "Line 4 was cut off as its driver died or its disk was full."
    assert said[-1] == "Log and study agree: 1 trials, 3 events."


def test_a_study_without_a_log_is_refused_by_a_line() -> None:
    (FOLDER / "events.jsonl").unlink()
    allowed = "allowed: a study with a log multirun/s/events.jsonl"
    with pytest.raises(UserError, match=allowed):
        main(["study.name=s"])
