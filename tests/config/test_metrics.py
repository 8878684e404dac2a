from collections.abc import Callable
from pathlib import Path

import pytest

from ugro.config import Config, Direction, MetricConfig, ObjectiveConfig, On
from ugro.config.validation.validation import validate
from ugro.errors import UserError

from ..task_files import write_tasks

TINY = "model=tiny"
MINE = "metrics.mine={function: json.loads, max_new_tokens: 8}"


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Overrides with two task files."""
    write_tasks(tmp_path)
    monkeypatch.chdir(tmp_path)
    return ["metrics=lm_eval", "metrics.lm_eval.tasks=[choice.yaml,answer.yaml]"]


def test_a_metric_of_the_command_line_needs_no_plus(settings: Callable[..., Config]) -> None:
    found = settings(TINY, MINE)
    assert found.metrics == {"mine": MetricConfig("json.loads", max_new_tokens=8)}
    assert [*found.objectives.metrics] == ["mine"]
    assert [*settings(TINY).objectives.metrics] == ["eval_loss"]
    assert [*settings(TINY, MINE, "objectives=loss").objectives.metrics] == ["eval_loss"]


def test_answers_may_be_sampled(settings: Callable[..., Config]) -> None:
    sampled = "metrics.mine={function: json.loads, samples: 5, temperature: 0.8, top_p: 0.95}"
    found = settings(TINY, sampled)
    assert found.metrics["mine"].samples == 5
    validate(found)


def test_options_are_combined_and_their_keys_changed(settings: Callable[..., Config]) -> None:
    found = settings(TINY, "metrics=[exact_match,token_accuracy]", "metrics.exact_match.examples=3")
    assert {name: metric.on for name, metric in found.metrics.items()} == {
        "exact_match": On.generations,
        "token_accuracy": On.tokens,
    }
    assert found.metrics["exact_match"].examples == 3
    assert found.metrics["token_accuracy"].examples is None


def test_all_metrics_are_objectives_in_their_directions(settings: Callable[..., Config]) -> None:
    longer = "metrics.words={function: json.loads, direction: minimize, returns: [mean, most]}"
    found = settings(TINY, MINE, longer)
    assert {name: one.direction for name, one in found.objectives.metrics.items()} == {
        "mine": Direction.maximize,
        "words_mean": Direction.minimize,
        "words_most": Direction.minimize,
    }
    validate(found)


@pytest.mark.parametrize(
    ("objectives", "names"), [("auto", ["mine"]), ("loss", ["eval_loss", "mine"])]
)
def test_a_listed_metric_has_its_own_direction(
    settings: Callable[..., Config], objectives: str, names: list[str]
) -> None:
    others = "metrics.other={function: json.loads}"
    listed = "objectives.metrics={mine: {weight: 2.0}}"
    found = settings(TINY, MINE, others, f"objectives={objectives}", listed)
    assert [*found.objectives.metrics] == names
    assert found.objectives.metrics["mine"] == ObjectiveConfig(Direction.maximize, 2.0)
    validate(found)


def test_values_of_tasks_are_named_by_their_files(
    settings: Callable[..., Config], tasks: list[str]
) -> None:
    found = settings(TINY, *tasks)
    assert [*found.objectives.metrics] == ["lm_eval_choice_acc", "lm_eval_answer_letters"]
    assert found.metrics["lm_eval"].examples is None
    found = settings(TINY, *tasks, "metrics.lm_eval.returns=[choice_acc_norm]")
    assert [*found.objectives.metrics] == ["lm_eval_choice_acc_norm"]
    both = settings(TINY, *tasks, "metrics=[lm_eval,f1]")
    assert [*both.objectives.metrics][2:] == ["f1"]


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            "metrics.lm_eval.tasks=[none.yaml]",
            "metrics.lm_eval.tasks: 'none.yaml' given, allowed: a task of lm-evaluation-harness, "
            "or its YAML or JSON file (none.yaml: No such file or directory)",
        ),
        (
            "metrics.lm_eval.tasks=[arc_easy,choice.yaml]",
            "metrics.lm_eval.returns: [] given, allowed: values such as [arc_easy_acc]; only files "
            "with a metric_list tell theirs",
        ),
        (
            "metrics.lm_eval.tasks=[]",
            "metrics.lm_eval.tasks: [] given, allowed: at least one: a task of lm-evaluation-",
        ),
        (
            "metrics.lm_eval.tasks=[choice.yaml,choice.yaml]",
            "metrics.lm_eval: 'lm_eval_choice_acc' given, allowed: a name that no other metric's",
        ),
        (
            "metrics.lm_eval.num_fewshot=-1",
            "metrics.lm_eval.num_fewshot: -1 given, allowed: 0 or more",
        ),
        ("metrics.lm_eval.examples=0", "metrics.lm_eval.examples: 0 given, allowed: 1 or more"),
        (
            "metrics.lm_eval.returns=[a b]",
            "metrics.lm_eval.returns: ['a b'] given, allowed: names of letters, digits and _",
        ),
        ("metrics.lm_eval.tasks=???", "metrics.lm_eval.tasks: needs a value, there is no default"),
        ("metrics.lm_eval.function=json.loads", "metrics.lm_eval: {'tasks': ["),
    ],
)
def test_wrong_tasks_are_named(
    settings: Callable[..., Config], tasks: list[str], override: str, line: str
) -> None:
    pytest.importorskip("lm_eval")
    with pytest.raises(UserError) as raised:
        validate(settings(TINY, *tasks, override))
    assert str(raised.value).startswith(line)
    assert "\n" not in str(raised.value)


def test_tasks_need_a_package(
    settings: Callable[..., Config], tasks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ugro.config.validation.metrics.find_spec", lambda _: None)
    with pytest.raises(UserError) as raised:
        validate(settings(TINY, *tasks))
    assert str(raised.value) == (
        "metrics.lm_eval: lm-evaluation-harness is not installed: pip install 'ugro[lm-eval]'"
    )


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (
            ["metrics.mine={function: no_such_module.metric}"],
            "metrics.mine.function: 'no_such_module.metric' given, allowed: module.function, the "
            "module beside train.py or on Python's path",
        ),
        (
            ["metrics.eval_loss={function: json.loads}"],
            "metrics: 'eval_loss' given, allowed: a name of letters, digits and _, not one of "
            "UGRO's own",
        ),
        (
            ["metrics.mine_stderr={function: json.loads}"],
            "metrics: 'mine_stderr' given, allowed: a name of letters, digits and _, not one of",
        ),
        (
            ["metrics.loss={function: json.loads}"],
            "metrics: 'loss' given, allowed: a name of letters, digits and _, not one of",
        ),
        (
            [MINE, "metrics.m={function: json.loads, returns: [a, a]}"],
            "metrics.m: 'm_a' given, allowed: a name that no other metric's value has",
        ),
        (
            [MINE, "metrics.mine.every=0"],
            "metrics.mine.every: 0 given, allowed: 1 or more",
        ),
        (
            [MINE, "metrics.mine.timeout_seconds=0"],
            "metrics.mine.timeout_seconds: 0.0 given, allowed: above 0",
        ),
        (
            [MINE, "metrics.mine.samples=0"],
            "metrics.mine.samples: 0 given, allowed: 1 or more",
        ),
        (
            [MINE, "metrics.mine.samples=5"],
            "metrics.mine.temperature: None given, allowed: above 0 with samples=5: greedy answers "
            "are all the same",
        ),
        (
            [MINE, "metrics.mine.temperature=0"],
            "metrics.mine.temperature: 0.0 given, allowed: above 0, or null for greedy answers",
        ),
        (
            [MINE, "metrics.mine.temperature=inf"],
            "metrics.mine.temperature: inf given, allowed: above 0, or null for greedy answers",
        ),
        (
            [MINE, "metrics.mine.temperature=1", "metrics.mine.top_p=1.5"],
            "metrics.mine.top_p: 1.5 given, allowed: above 0, 1 at most",
        ),
        (
            [MINE, "metrics.mine.top_p=0.9"],
            "metrics.mine.top_p: 0.9 given, allowed: null without a temperature: nothing is drawn",
        ),
        (
            ["metrics.mine={function: json.loads, on: tokens, temperature: 1.0}"],
            "metrics.mine.temperature: 1.0 given, allowed: null with on=tokens: nothing is",
        ),
        (
            [MINE, "objectives.metrics={other: {direction: minimize}}"],
            "objectives.metrics: 'other' given, allowed: eval_loss,",
        ),
    ],
)
def test_wrong_metrics_are_named(
    settings: Callable[..., Config], overrides: list[str], line: str
) -> None:
    with pytest.raises(UserError) as raised:
        validate(settings(TINY, *overrides))
    assert str(raised.value).startswith(line)


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("metrics.mine={}", "metrics.mine.function: needs a value"),
        ("metrics.mine=accuracy", "metrics.mine: 'accuracy' given, allowed: {function:"),
        (
            "metrics.mine={function: json.loads, exampels: 3}",
            "Key 'exampels' not in 'MetricConfig'",
        ),
        ("metrics.mine={function: json.loads, on: words}", "Invalid value 'words'"),
    ],
)
def test_wrong_keys_and_types_are_named(
    settings: Callable[..., Config], override: str, part: str
) -> None:
    with pytest.raises(UserError) as raised:
        settings(TINY, override)
    assert part in str(raised.value)
    assert "\n" not in str(raised.value)
