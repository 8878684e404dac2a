from math import prod

import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from ugro.errors import UserError
from ugro.shell import override
from ugro.space.search_space import SearchSpace, as_sweep, parse, values


def space(**distributions: BaseDistribution) -> SearchSpace:
    return SearchSpace(distributions, ())


# Hydra's sweep syntax


@pytest.mark.parametrize(
    ("sweep", "distribution"),
    [
        ("8,16", CategoricalDistribution((8, 16))),
        ("choice(8,16,32)", CategoricalDistribution((8, 16, 32))),
        ("choice(true,false)", CategoricalDistribution((True, False))),
        ("choice(none,all)", CategoricalDistribution(("none", "all"))),
        (
            "choice([q_proj,v_proj],all-linear)",
            CategoricalDistribution(("[q_proj,v_proj]", "all-linear")),
        ),
        ("range(4,9,2)", IntDistribution(4, 8, step=2)),  # 4, 6, 8
        ("range(0.0,0.3,0.1)", FloatDistribution(0.0, 0.2, step=0.1)),  # the stop is left out
        ("interval(0.0,0.2)", FloatDistribution(0.0, 0.2)),
        ("int(interval(4,64))", IntDistribution(4, 64)),
        ("tag(log,interval(1e-5,2e-3))", FloatDistribution(1e-5, 2e-3, log=True)),
        ("tag(log,int(interval(4,64)))", IntDistribution(4, 64, log=True)),
    ],
)
def test_sweeps_parse_alike_in_a_group_and_on_the_command_line(
    sweep: str, distribution: BaseDistribution
) -> None:
    assert parse({"lora.r": sweep}, []) == SearchSpace({"lora.r": distribution}, ())
    assert parse({}, [f"lora.r={sweep}"]) == SearchSpace({"lora.r": distribution}, ())


@pytest.mark.parametrize(
    ("distribution", "sweep"),
    [
        (CategoricalDistribution((8, 16)), "choice(8,16)"),
        (CategoricalDistribution((0.5, 1e-05)), "choice(0.5,1e-05)"),
        (CategoricalDistribution((True, "null", "none")), "true,null,none"),
        (
            CategoricalDistribution(("[q_proj,v_proj]", "all-linear")),
            'choice("[q_proj,v_proj]",all-linear)',
        ),
        (CategoricalDistribution(('say "no", \\ please', "it's")), None),
        (IntDistribution(4, 64), "int(interval(4,64))"),
        (IntDistribution(4, 64, log=True), "tag(log,int(interval(4,64)))"),
        (IntDistribution(4, 8, step=2), "range(4,10,2)"),
        (FloatDistribution(0.0, 0.2), "interval(0.0,0.2)"),
        (FloatDistribution(1e-5, 2e-3, log=True), "tag(log,interval(1e-05,0.002))"),
        (FloatDistribution(0.0, 0.2, step=0.1), "range(0.0,0.3,0.1)"),
    ],
)
def test_a_formatted_distribution_parses_back(
    distribution: BaseDistribution, sweep: str | None
) -> None:
    formatted = as_sweep(distribution)
    assert sweep is None or formatted == sweep
    assert parse({}, [f"lora.r={formatted}"]).distributions == {"lora.r": distribution}


def test_plain_overrides_are_shared_by_all_trials() -> None:
    parsed = parse(
        {"lora.dropout": "0.1"}, ["model=tiny", "lora.r=8,16", "lora.target_modules=[a]"]
    )
    assert list(parsed.distributions) == ["lora.r"]
    assert parsed.fixed == ("lora.dropout=0.1", "model=tiny", "lora.target_modules=[a]")


def test_the_command_line_wins_over_the_named_space() -> None:
    named = {"lora.r": "choice(4,8)", "lora.dropout": "interval(0.0,0.1)"}
    parsed = parse(named, ["lora.r=16,32"])
    assert parsed.distributions["lora.r"] == CategoricalDistribution((16, 32))
    assert parsed.distributions["lora.dropout"] == FloatDistribution(0.0, 0.1)


@pytest.mark.parametrize("argument", ["lora.r=8", "+lora.r=8", "++lora.r=8"])
def test_a_value_on_the_command_line_removes_its_key_from_the_space(argument: str) -> None:
    parsed = parse({"lora.r": "choice(4,8)", "lora.dropout": "choice(0.0,0.1)"}, [argument])
    assert list(parsed.distributions) == ["lora.dropout"]
    assert parsed.fixed == (argument,)


def test_the_last_override_of_a_key_counts() -> None:
    assert parse({}, ["lora.r=4,8", "lora.r=2"]) == SearchSpace({}, ("lora.r=2",))
    assert parse({}, ["lora.r=2", "++lora.r=4,8"]).overrides({"++lora.r": 4}) == ["++lora.r=4"]


def test_deletions_are_kept_for_every_trial() -> None:
    parsed = parse({}, ["~model.linear_modules", "lora.r=8,16"])
    assert parsed.fixed == ("~model.linear_modules",)
    assert parsed.overrides({"lora.r": 8}) == ["~model.linear_modules", "lora.r=8"]


def test_whole_groups_can_be_searched() -> None:
    parsed = parse({}, ["model=tiny,qwen2_5_0_5b"])
    assert [parsed.overrides(c) for c in parsed.combinations()] == [
        ["model=tiny"],
        ["model=qwen2_5_0_5b"],
    ]


def test_null_among_choices_comes_back_as_null() -> None:
    parsed = parse({}, ["training.early_stopping_patience=null,3"])
    assert [parsed.overrides(c) for c in parsed.combinations()] == [
        ["training.early_stopping_patience=null"],
        ["training.early_stopping_patience=3"],
    ]
    assert override("training.max_steps", None) == "training.max_steps=null"


@pytest.mark.parametrize(
    "choices", ["2,2.5,true", "'a b','8'", '"a,b",c', "[q_proj,v_proj],[k_proj]", "{a:1},x", "'',a"]
)
def test_an_override_parses_back_to_the_choice(choices: str) -> None:
    parsed = parse({}, [f"key={choices}"])
    again = parse({}, ["key=" + ",".join(o.removeprefix("key=") for o in _overrides(parsed))])
    assert again == parsed


def _overrides(parsed: SearchSpace) -> list[str]:
    return [line for c in parsed.combinations() for line in parsed.overrides(c)]


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("lora.r=choice(8,", r"^lora\.r=choice\(8,: not a value or sweep \(.+\)$"),
        ("lora.r=choice()", r"empty choice is not legal"),
        ("lora.r", r"^lora\.r: not a value or sweep"),
        ("lora.r=interval(5,1)", r"^lora\.r: .* cannot be searched \(.*low <= high"),
        ("lora.r=tag(log,interval(0,1))", r"^lora\.r: .* cannot be searched \(.*log=True"),
        ("lora.r=range(5,1)", r"^lora\.r: .* cannot be searched \(.*at least one value"),
        ("lora=glob(*)", r"^lora: lora=glob\(\*\) cannot be searched"),
    ],
)
def test_an_invalid_sweep_is_reported_in_one_line(argument: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason) as error:
        parse({}, [argument])
    assert "\n" not in str(error.value)


# What the space holds


def test_an_empty_space_has_one_configuration() -> None:
    nothing = parse({}, ["model=tiny"])
    assert nothing.size == 1
    assert list(nothing.combinations()) == [{}]
    assert list(nothing.single_parameters()) == []


def test_the_last_key_varies_fastest() -> None:
    grid = parse({}, ["lora.r=8,16", "lora.dropout=range(0.1,0.4,0.1)"])
    assert grid.size == 6
    assert list(grid.combinations()) == [
        {"lora.r": 8, "lora.dropout": 0.1},
        {"lora.r": 8, "lora.dropout": 0.2},
        {"lora.r": 8, "lora.dropout": 0.3},  # 0.1 + 2 * 0.1 is 0.30000000000000004
        {"lora.r": 16, "lora.dropout": 0.1},
        {"lora.r": 16, "lora.dropout": 0.2},
        {"lora.r": 16, "lora.dropout": 0.3},
    ]


def test_a_choice_given_twice_counts_once() -> None:
    twice = parse({}, ["lora.r=8,16,8"])
    assert twice.size == 2
    assert list(twice.combinations()) == [{"lora.r": 8}, {"lora.r": 16}]


def test_a_continuous_key_makes_the_space_infinite() -> None:
    infinite = parse({}, ["lora.r=8,16", "lora.dropout=interval(0.0,0.1)"])
    assert infinite.size is None
    with pytest.raises(TypeError, match="is continuous"):
        list(infinite.combinations())


def test_single_parameters_are_all_choices_and_both_bounds() -> None:
    mixed = parse({}, ["lora.r=4,8,16", "lora.dropout=interval(0.0,0.1)", "seed=range(1,10,2)"])
    assert list(mixed.single_parameters()) == [
        {"lora.r": 4},
        {"lora.r": 8},
        {"lora.r": 16},
        {"lora.dropout": 0.0},
        {"lora.dropout": 0.1},
        {"seed": 1},
        {"seed": 9},
    ]


def steps(low: int, count: int, step: int) -> IntDistribution:
    return IntDistribution(low, low + (count - 1) * step, step=step)


def tenths(low: int, count: int, step: int) -> FloatDistribution:
    return FloatDistribution(low / 10, (low + (count - 1) * step) / 10, step=step / 10)


NUMBERS = (st.integers(-50, 50), st.integers(1, 6), st.integers(1, 9))
FINITE = st.one_of(
    st.lists(st.integers(0, 9), min_size=1, max_size=6).map(CategoricalDistribution),
    st.builds(steps, *NUMBERS),
    st.builds(tenths, *NUMBERS),
)


@property_settings(deadline=None, derandomize=True)
@given(distributions=st.dictionaries(st.sampled_from("abc"), FINITE))
def test_each_combination_is_yielded_once_and_counted(
    distributions: dict[str, BaseDistribution],
) -> None:
    finite = space(**distributions)
    combinations = [tuple(sorted(c.items())) for c in finite.combinations()]
    assert len(combinations) == len(set(combinations)) == finite.size
    assert finite.size == prod(len(values(d)) for d in distributions.values())
    for combination in finite.combinations():
        assert list(combination) == list(distributions)
        for key, value in combination.items():
            distribution = distributions[key]
            assert distribution._contains(distribution.to_internal_repr(value))


@property_settings(deadline=None, derandomize=True)
@given(low=NUMBERS[0], count=NUMBERS[1], step=NUMBERS[2])
def test_values_in_steps_are_round_numbers(low: int, count: int, step: int) -> None:
    assert values(tenths(low, count, step)) == [(low + i * step) / 10 for i in range(count)]
    assert values(steps(low, count, step)) == [low + i * step for i in range(count)]
