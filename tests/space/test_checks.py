from collections.abc import Callable, Mapping

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode

from tests.conftest import ROOT
from tests.spaces import Feasible
from ugro.errors import UserError
from ugro.space import checks
from ugro.space.checks import check_space
from ugro.space.composition import Composer, constraints_in
from ugro.space.feasible import FeasibleSpace
from ugro.space.search_space import parse

Faults = Callable[..., list[str]]

SMALL = ("training.max_steps=10,20", "training.eval_steps=5,15,30")
EVAL_LATER = "training.eval_steps: {} given, allowed: training.max_steps={} at most"
RATE = "training.learning_rate=tag(log,interval(1e-5,1e-3))"  # makes the space continuous


@pytest.fixture(scope="module")
def faults() -> Faults:
    """``faults("lora.r=0,8", ...)``: lines of the error of such a sweep."""
    with initialize_config_dir(config_dir=str(ROOT / "conf")):
        loader = GlobalHydra.instance().config_loader()
        master = loader.load_configuration("config", ["study.name=s"], RunMode.MULTIRUN)

    def _faults(*arguments: str, conditions: Mapping[str, str] | None = None) -> list[str]:
        try:
            space = parse({}, arguments, conditions)
            composer = Composer(space, master, loader)
            constraints = constraints_in(composer.compose({}))
            check_space(FeasibleSpace(space, composer, constraints))
        except UserError as error:
            return str(error).splitlines()
        return []

    return _faults


# Finite spaces: every combination is composed and checked


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("model=tiny", "lora.r=8,16", "lora.target_modules=[q_proj,v_proj],all-linear"),
        ("lora.r=8,16", "lora.dropout=range(0.0,0.3,0.1)", "lora.bias=none,lora_only"),
        ("training.max_steps=null,100",),
        ("++lora.r=8,16",),
        ("lora={r:8},{r:16}",),
    ],
)
def test_a_valid_space_passes(arguments: tuple[str, ...], faults: Faults) -> None:
    assert faults(*arguments) == []


def test_each_invalid_choice_is_reported_once_in_a_line(faults: Faults) -> None:
    assert faults("lora.r=0,8,-1", "lora.dropout=0.0,1.0") == [
        "lora.r: 0 given, allowed: 1 or more",
        "lora.dropout: 1.0 given, allowed: 0 or more, below 1",
        "lora.r: -1 given, allowed: 1 or more",
    ]


def test_an_unknown_module_is_reported_with_the_models_modules(faults: Faults) -> None:
    (line,) = faults("model=tiny", "lora.target_modules=[q_proj],[qkv],all-linear")
    assert line.startswith("lora.target_modules: 'qkv' given, allowed: all-linear, or a list of q_")


def test_an_invalid_shared_value_is_reported_once(faults: Faults) -> None:
    assert faults("lora.r=0", "seed=1,2,3") == ["lora.r: 0 given, allowed: 1 or more"]


def test_a_value_derived_from_a_searched_key_is_checked(faults: Faults) -> None:
    assert faults("lora.alpha_ratio=0.0,2.0") == ["lora.alpha: 0.0 given, allowed: above 0"]


def test_faults_between_two_keys_are_found_exactly(faults: Faults) -> None:
    # Of the six pairs, three evaluate after the last step: (10, 15), (10, 30) and (20, 30).
    assert faults(*SMALL) == [
        EVAL_LATER.format(15.0, 10),
        EVAL_LATER.format(30.0, 10),
        EVAL_LATER.format(30.0, 20),
    ]
    assert faults("training.max_steps=20,40", "training.eval_steps=5,10,20") == []


def test_a_key_is_checked_where_its_condition_holds(faults: Faults) -> None:
    least, smoothing = "training.lr_scheduler_kwargs.min_lr_rate", "training.label_smoothing"
    schedules = ("training.lr_scheduler_type=cosine,cosine_with_min_lr", "training.optim=sgd,sgdd")
    where = {least: "training.lr_scheduler_type == 'cosine_with_min_lr'"}
    (line,) = faults(*schedules, f"{least}=0.1,0.2", conditions=where)
    assert line.startswith("training.optim: 'sgdd' given, allowed: nearest: sgd")
    continuous = (schedules[0], f"{least}=interval(0.1,0.3)", f"{smoothing}=interval(0.5,1.5)")
    (line,) = faults(*continuous, conditions=where)
    assert line == f"{smoothing}: 1.5 given, allowed: 0 or more, below 1"
    rare = {smoothing: "training.lr_scheduler_type == 'linear'"}
    (line,) = faults(
        "training.lr_scheduler_type=cosine,linear",
        f"{smoothing}=interval(0.5,1.5)",
        conditions=rare,
    )
    assert line == f"{smoothing}: 1.5 given, allowed: 0 or more, below 1"


def test_wrong_types_and_misspelt_keys_are_reported_by_key(faults: Faults) -> None:
    wrong = ("lora.r=eight,eight", "lora.bias=some,some", "lora.rank=8,8")
    assert faults(*wrong) == [
        "lora.r: 'eight' given (Value 'eight' of type 'str' could not be converted to Integer)",
        "lora.bias: 'some' given (Invalid value 'some', expected one of [none, all, lora_only])",
        "lora.rank: no key of the schema, nearest: lora.r, lora.rank_pattern, lora.bias",
    ]


@pytest.mark.parametrize(
    "sweep",
    [
        "hydra.sweeper.n_jobs=1,2",
        "hydra/launcher=basic,joblib",
        "scheduler=asha,none",
        "stoppers.max_seconds=60,600",
        "experiment=quickstart,llama2_7b_lora",
        "search_space=lora,none",
        "tracking=none,mlflow",
    ],
)
def test_keys_of_the_study_cannot_be_searched(sweep: str, faults: Faults) -> None:
    key = sweep.partition("=")[0]
    (line,) = faults(sweep)
    assert line.startswith(f"{key}: 'a sweep' given, allowed: keys of a trial; this key applies")


def test_a_missing_value_is_reported(faults: Faults) -> None:
    assert faults("lora.r=???,8") == ["lora.r: needs a value, there is no default"]


@pytest.mark.parametrize("more", [(), (RATE,)], ids=["finite", "continuous"])
def test_a_wrong_type_hides_no_other_fault(more: tuple[str, ...], faults: Faults) -> None:
    lines = faults("lora.r=a,b", "lora.bias=some,none", "training.batch_size=0,4", *more)
    assert sorted(line.partition(" given")[0] for line in lines) == [
        "lora.bias: 'some'",
        "lora.r: 'a'",
        "lora.r: 'b'",
        "training.batch_size: 0",
    ]


# Whole groups


def test_the_options_of_a_group_are_composed(faults: Faults) -> None:
    # The option local leaves its path to the user.
    no_path = "model.path: None given, allowed: a hub id or a folder"
    assert faults("model=tiny,local", "model.path=a_folder") == []
    assert faults("model=tiny,local", "lora.r=0,8") == [
        "lora.r: 0 given, allowed: 1 or more",
        no_path,
    ]


def test_a_key_is_checked_with_each_option_of_a_group(faults: Faults) -> None:
    # The random Llama has 2048 positions; what SmolLM2 has is known once it is loaded.
    assert faults("model=smollm2_135m,tiny", "data.block_size=128,4096") == [
        "data.block_size: 4096 given, allowed: 2048 at most"
    ]


def test_an_unknown_option_is_reported_with_the_existing_ones(faults: Faults) -> None:
    with pytest.raises(ConfigCompositionException, match=r"Could not find 'model/huge'"):
        faults("model=tiny,huge")


# Continuous and large spaces: each key's choices and bounds, the other keys at their first


def test_the_bounds_of_intervals_are_checked(faults: Faults) -> None:
    assert faults(RATE, "lora.dropout=interval(0.0,0.2)", "lora.r=int(interval(4,64))") == []
    assert faults("lora.dropout=interval(0.5,1.0)", "lora.r=int(interval(0,8))") == [
        "lora.r: 0 given, allowed: 1 or more",
        "lora.dropout: 1.0 given, allowed: 0 or more, below 1",
    ]


def test_a_large_space_is_checked_one_key_at_a_time(
    faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "MAX_COMBINATIONS", 4)
    late = ("training.eval_steps=5,30", "training.max_steps=40,20")
    assert faults(*late) == [EVAL_LATER.format(30.0, 20)]  # 2 * 2
    assert faults(*late, "seed=1,2") == []  # 2 * 2 * 2; (30, 20) is two turns from the first
    assert faults("training.batch_size=range(0,5)") == [
        "training.batch_size: 0 given, allowed: 1 or more"
    ]


@pytest.mark.parametrize("more", [RATE, "seed=range(0,300)"])
def test_the_configured_value_of_a_searched_key_is_not_checked(more: str, faults: Faults) -> None:
    # model=local alone has no path and data=text no files; here every trial has both.
    given = ("model=local", "model.path=a,b", "data=text", "data.train_files=[a.txt],[b.txt]")
    assert faults(*given, more) == []


@pytest.mark.parametrize("more", [RATE, "seed=range(0,300)"])
def test_a_fault_at_the_first_values_of_all_keys_is_found(more: str, faults: Faults) -> None:
    assert faults("training.max_steps=10,20", "training.eval_steps=15,5", more) == [
        EVAL_LATER.format(15.0, 10)
    ]


def test_a_condition_on_an_unknown_key_is_refused(feasible: Feasible) -> None:
    branch = feasible("lora.use_dora=true,false", conditions={"lora.use_dora": "lora.rank >= 8"})
    with pytest.raises(
        UserError, match=r"conditions\.lora\.use_dora: 'lora.rank' given, allowed: k"
    ):
        check_space(branch)


# Adapters


def test_a_key_of_an_adapter_that_no_trial_has_is_refused(faults: Faults) -> None:
    assert faults("adapter=vera", "lora.r=4,8", "vera.r=4,8") == [
        "lora.r: 'a sweep' given, allowed: adapter=lora, as it has no effect with adapter=vera"
    ]


def test_a_key_of_an_adapter_that_some_trials_have_needs_a_condition(faults: Faults) -> None:
    keys = ("adapter=lora,vera", "lora.r=4,8", "vera.r=4,8")
    conditions = {"vera.r": "adapter == 'vera'"}
    assert faults(*keys, conditions=conditions) == [
        "lora.r: 'a sweep' given, allowed: with the condition hydra.sweeper.conditions.lora.r: "
        "adapter == 'lora'"
    ]
    both = {**conditions, "lora.r": "adapter == 'lora'"}
    assert faults(*keys, conditions=both) == []


@pytest.mark.parametrize("more", [(), (RATE,)], ids=["finite", "continuous"])
def test_bounds_of_a_conditional_key_are_checked_where_it_is_searched(
    more: tuple[str, ...], faults: Faults
) -> None:
    conditions = {"vera.r": "adapter == 'vera'"}
    found = faults("adapter=lora,vera", "vera.r=0,4", *more, conditions=conditions)
    assert found == ["vera.r: 0 given, allowed: 1 or more"]
