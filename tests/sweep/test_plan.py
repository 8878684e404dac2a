import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from ugro.errors import UserError
from ugro.sweep.plan import Plan, check_jobs, plan_of, total_trials

from ..conftest import ROOT


def test_a_key_without_effect_is_not_searched_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    arguments = ["study.name=s", "search_space=lora", "lora.alpha=32"]
    with initialize_config_dir(config_dir=str(ROOT / "conf")):
        loader = GlobalHydra.instance().config_loader()
        config = loader.load_configuration("config", arguments, RunMode.MULTIRUN)
        plan = plan_of(config, loader, arguments)
    assert "lora.r" in plan.feasible.space.distributions
    assert "lora.alpha_ratio" not in plan.feasible.space.distributions
    assert "lora.alpha_ratio" not in plan.first[0].parameters
    line = "lora.alpha_ratio is not searched as it has no effect: lora.alpha is set explicitly"
    assert [record.message for record in caplog.records] == [line]


def test_a_continuous_space_requires_a_number_of_trials() -> None:
    with pytest.raises(UserError, match=r"^hydra\.sweeper\.n_trials: None given, allowed: a num"):
        total_trials(None, None)
    assert total_trials(None, 7) == 7


@pytest.mark.parametrize("given", [0, -3])
def test_a_number_of_trials_below_one_is_refused(given: int) -> None:
    with pytest.raises(UserError, match=f"n_trials: {given} given, allowed: 1 or more"):
        total_trials(6, given)


@pytest.mark.parametrize(
    ("held", "n_trials", "total"),
    [(6, None, 6), (6, 5, 5), (6, 7, 6), (None, 5, 5)],
)
def test_the_smallest_bound_is_the_total(
    held: int | None, n_trials: int | None, total: int
) -> None:
    assert total_trials(held, n_trials) == total


@pytest.mark.parametrize("given", [0, -1, 1.5, "many", None])
def test_n_jobs_is_auto_or_a_positive_integer(given: object) -> None:
    check_jobs("auto")
    check_jobs(3)
    with pytest.raises(UserError, match=r"^hydra\.sweeper\.n_jobs: .*allowed: auto, or 1 or more"):
        check_jobs(given)


def _planned(*arguments: str) -> Plan:
    with initialize_config_dir(config_dir=str(ROOT / "conf")):
        loader = GlobalHydra.instance().config_loader()
        config = loader.load_configuration("config", list(arguments), RunMode.MULTIRUN)
        of_trials = [each for each in arguments if not each.startswith(("hydra", "++hydra"))]
        return plan_of(config, loader, of_trials)


def test_a_prior_holds_for_the_keys_that_are_searched() -> None:
    prior = _planned("study.name=s", "search_space=lora_small", "prior=lora").feasible.space.prior
    assert set(prior) == {"lora.r", "training.learning_rate", "lora.target_modules"}
    assert _planned("study.name=s", "search_space=lora_small").feasible.space.prior == {}


def test_a_prior_of_an_unknown_key_is_refused() -> None:
    given = "++hydra.sweeper.prior={lora.rang:{near:8,factor:2}}"
    with pytest.raises(UserError, match=r"hydra\.sweeper\.prior\.lora\.rang: .*lora\.r\b"):
        _planned("study.name=s", "search_space=lora_small", given)
