from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig
from optuna.distributions import CategoricalDistribution

from tests.conftest import ROOT
from tests.studies import ended
from ugro.events.outcome import Outcome
from ugro.study.study import Study, create_or_continue
from ugro.sweep.confirmation import confirm_best
from ugro.sweep.definition import definition
from ugro.sweep.plan import Plan, plan_of

FEW = ("study.confirm=1", "study.confirm_seeds=2")
STORAGE = "hydra.sweeper.storage='journal:///${study.dir}/journal'"  # quicker than SQLite
R = {"lora.r": CategoricalDistribution((2, 4, 8, 16))}


@dataclass
class Searched:
    """A finished study with the arguments to confirm it."""

    config: DictConfig
    loader: ConfigLoader
    plan: Plan
    study: Study

    def confirm_best(self) -> Plan | None:
        return confirm_best(self.plan, self.config, self.loader)

    def end(self, r: int, *values: float, source: str = "space", how: Any = None) -> None:
        ended(self.study, R, how or Outcome.COMPLETE, *values, source=source, given={"lora.r": r})


Made = Callable[..., Searched]


class Remembering:
    """Hydra's loader with a cache across tests, as composing takes 0.2 s."""

    def __init__(self, loader: ConfigLoader) -> None:
        self._loader = loader
        self._composed: dict[tuple[str, ...], DictConfig] = {}

    def load_sweep_config(self, master: DictConfig, overrides: list[str]) -> DictConfig:
        known = self._composed.get(tuple(overrides))
        if known is None:
            known = self._composed[tuple(overrides)] = self._loader.load_sweep_config(
                master, overrides
            )
        return known.copy()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


@pytest.fixture(scope="module")
def loader() -> Any:
    with initialize_config_dir(config_dir=str(ROOT / "conf")):
        return Remembering(GlobalHydra.instance().config_loader())


@pytest.fixture
def searched(loader: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """``searched("study.confirm=2", ...)``: a study of several ranks without trials."""
    monkeypatch.chdir(tmp_path)

    def _searched(*more: str, direction: str = "minimize") -> Searched:
        arguments = ["study.name=s", "model=tiny", *(more or FEW)]
        config = loader.load_configuration("config", [*arguments, STORAGE], RunMode.MULTIRUN)
        plan = plan_of(config, loader, [*arguments, "lora.r=2,4,8,16"])
        url = plan.trial.hydra.sweeper.storage
        study = create_or_continue("s", url, plan.trial.objectives.metrics, [direction])
        return Searched(config, loader, plan, study)

    return _searched


def run(plan: Plan | None) -> list[tuple[int, int, str]]:
    """Rank, seed and source of each planned trial."""
    assert plan is not None
    return [(one.parameters["lora.r"], one.parameters["seed"], one.source) for one in plan.first]


def test_the_best_and_the_baseline_run_with_unused_seeds(searched: Made) -> None:
    of = searched("study.confirm=2", "study.confirm_seeds=2", "seed=7")
    of.end(16, 3.0, source="baseline")
    of.end(8, 2.0)
    of.end(4, 1.0)
    of.end(2, 2.5)
    plan = of.confirm_best()
    assert run(plan) == [  # a seed of all before the next one
        (4, 8, "trial 2"),
        (8, 8, "trial 1"),
        (16, 8, "trial 0"),
        (4, 9, "trial 2"),
        (8, 9, "trial 1"),
        (16, 9, "trial 0"),
    ]
    assert plan is not None
    assert plan.total == 6


def test_a_confirmation_is_a_separate_study_without_early_stopping(searched: Made) -> None:
    of = searched("study.confirm=1", "scheduler=asha", "study.target=9", "hydra.sweeper.n_trials=4")
    of.end(4, 1.0)
    plan = of.confirm_best()
    assert plan is not None
    assert plan.config.study.name == "s/confirm"
    assert plan.config.study.dir == "multirun/s/confirm"
    assert plan.trial.hydra.sweeper.storage == "journal:///multirun/s/confirm/journal"
    assert plan.trial.hydra.sweeper.study_name == "s/confirm"
    assert plan.trial.hydra.sweep.dir == "multirun/s/confirm"
    assert plan.trial.scheduler._target_ == "ugro.schedulers.no_scheduler.NoScheduler"
    assert plan.base_config["scheduler"] == {
        "_target_": "ugro.schedulers.no_scheduler.NoScheduler",
        "time_attr": "tokens_seen",
    }
    assert plan.config.study.target is None
    assert plan.config.study.confirm == 0


def test_a_baseline_is_confirmed_once_unless_it_failed(searched: Made) -> None:
    of = searched()
    of.end(16, 1.0, source="baseline")
    assert [r for r, _, _ in run(of.confirm_best())] == [16, 16]
    of.end(8, 0.5)
    assert [r for r, _, _ in run(of.confirm_best())] == [8, 16, 8, 16]


@pytest.mark.parametrize(
    ("how", "run_again"),
    [(Outcome.RUNG, True), (Outcome.STUDY_LIMIT, True), (Outcome.DIVERGED, False),
     (Outcome.FAILED, False)],
)  # fmt: skip
def test_a_stopped_baseline_runs_to_its_end(how: Outcome, run_again: bool, searched: Made) -> None:
    of = searched()
    of.end(16, source="baseline", how=how)
    of.end(8, 0.5)
    assert (16 in [r for r, _, _ in run(of.confirm_best())]) is run_again


def test_the_same_configuration_is_confirmed_once(searched: Made) -> None:
    of = searched(
        "study.confirm=2",
        "study.confirm_seeds=2",
        "study.allow_duplicates=true",
        "hydra.sweeper.n_trials=9",
    )
    for r, value in ((8, 1.0), (8, 1.1), (4, 1.2), (2, 1.3)):
        of.end(r, value)
    assert [one[0] for one in run(of.confirm_best())] == [8, 4, 8, 4]


def test_the_best_of_a_maximised_objective_is_the_largest(searched: Made) -> None:
    more = (*FEW, "objectives=loss", "objectives.metrics.eval_loss.direction=maximize")
    of = searched(*more, direction="maximize")
    of.end(8, 1.0)
    of.end(4, 2.0)
    assert [one[0] for one in run(of.confirm_best())] == [4, 4]


def test_without_complete_trials_there_is_no_confirmation(
    searched: Made, caplog: pytest.LogCaptureFixture
) -> None:
    of = searched()
    of.end(8, how=Outcome.RUNG)
    with caplog.at_level("INFO"):
        assert of.confirm_best() is None
    assert "Nothing to confirm: no trial is complete" in caplog.text


def test_trials_outside_a_changed_space_are_skipped_and_logged(
    searched: Made, caplog: pytest.LogCaptureFixture
) -> None:
    of = searched()
    wider = {"lora.r": CategoricalDistribution((64,))}
    ended(of.study, wider, Outcome.COMPLETE, 0.5, given={"lora.r": 64})
    ended(of.study, {"lora.alpha_ratio": CategoricalDistribution((1,))}, Outcome.COMPLETE, 0.6)
    assert of.confirm_best() is None
    assert "Trial 0 is not confirmed" in caplog.text
    assert "Trial 1 is not confirmed" in caplog.text


def test_earlier_confirmations_count_beside_those_of_the_new_best(searched: Made) -> None:
    of = searched()
    of.end(8, 1.0)
    first = of.confirm_best()
    assert first is not None
    url = "journal:///multirun/s/confirm/journal"
    again = create_or_continue("s/confirm", url, ["eval_loss"], ["minimize"])
    again.define(definition(first))
    for one in first.first:
        over = first.feasible.space.distributions
        ended(again, over, Outcome.COMPLETE, 1.1, given=dict(one.parameters))
    known = of.confirm_best()
    assert known is not None
    assert known.total == 2  # all of them are there: nothing is left
    of.end(4, 0.5)
    other = of.confirm_best()
    assert [one[0] for one in run(other)] == [4, 4]
    assert other is not None
    assert other.total == 4
    again.define({**definition(first), "training.max_steps": "7"})
    other = of.confirm_best()
    assert other is not None
    assert other.total == len(other.first)  # a new group: what was confirmed before is no part


def test_searched_seeds_are_not_reused(searched: Made) -> None:
    of = searched("study.confirm=1", "study.confirm_seeds=3", "seed=1,5,3")
    over = {**R, "seed": CategoricalDistribution((1, 5, 3))}
    for seed, value in ((5, 1.0), (1, 1.1)):
        ended(of.study, over, Outcome.COMPLETE, value, given={"lora.r": 8, "seed": seed})
    assert run(of.confirm_best()) == [(8, 6, "trial 0"), (8, 7, "trial 0"), (8, 8, "trial 0")]
