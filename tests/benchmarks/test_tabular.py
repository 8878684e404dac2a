"""Recorded and synthetic curves, and peers that search them."""

import itertools
import json
import math
from pathlib import Path

import optuna
import pyarrow.parquet
import pytest

from benchmarks.tabular import record
from benchmarks.tabular.budget import Budget, Seeds
from benchmarks.tabular.curve_statistics import mean, of_problem, of_table
from benchmarks.tabular.curves import Curve, Problem, plain
from benchmarks.tabular.families import FAMILIES, Family
from benchmarks.tabular.methods import METHODS
from benchmarks.tabular.peers.clock import search
from benchmarks.tabular.peers.optuna_alone import OptunaAlone
from benchmarks.tabular.peers.ray_tune import RayTune
from benchmarks.tabular.peers.upstream import in_batches
from benchmarks.tabular.plans import compose_plan, space
from benchmarks.tabular.problems import TABLES, earlier_problem
from benchmarks.tabular.simulate import simulate
from benchmarks.tabular.table import Table, errors
from ugro.errors import UserError
from ugro.space.feasible import identity

SEEDS = Seeds(0, 1, 2)
RANDOM = ("hydra/sweeper/sampler=random", "scheduler=none", "study.baseline=false")
TINY = ("model=tiny", "data.max_train_examples=64", "training.max_tokens=384", "data.block_size=4")


def configurations(count: int) -> list[dict[str, float | str]]:
    return [plain(one) for one in record.quasi_random(space(), count)]


# The recorder


def test_the_guides_come_first_and_more_configurations_only_add_to_fewer() -> None:
    plan = compose_plan("search_space=lora", "study.name=s")
    many = record.configurations(plan, 200)
    assert record.configurations(plan, 40) == many[:40]
    assert many[0]["training.learning_rate"] == 2e-4
    assert many[4]["lora.r"] == 32
    assert len({identity(one) for one in many}) == len(many) == 200
    assert {one["lora.r"] for one in many} == {8, 16, 32, 64, 128}


@pytest.mark.long
def test_a_table_goes_on_where_it_was_left_and_knows_how_it_was_made(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    record.main(path, 1, 1, [*TINY])
    first = pyarrow.parquet.read_table(path).to_pylist()
    assert [row["tokens_seen"] for row in first] == list(range(0, 385, 32))
    record.main(path, 2, 2, [*TINY])
    table = pyarrow.parquet.read_table(path)
    rows = table.to_pylist()
    assert rows[: len(first)] == first  # nothing is run twice
    assert {row["configuration"] for row in rows} == {0, 1}
    said = json.loads(table.schema.metadata[record.METADATA])
    assert "model=tiny" in said["overrides"]
    assert said["torch"]
    assert said["device"]
    with pytest.raises(UserError, match=r"allowed: those that .* was recorded with"):
        record.main(path, 3, 1, ["model=tiny"])


def test_a_fit_gives_back_the_runs_that_it_knows(tmp_path: Path) -> None:
    family, rows = Family("agreeing", 0), []
    for index, parameters in enumerate(configurations(63)):
        for seed in (42, 43) if index % 10 == 9 else (42,):
            curve = family.curve(parameters, seed)
            for step, (loss, hours) in enumerate(zip(curve.losses, curve.hours, strict=True)):
                told = {"eval_loss": loss, "cpu_seconds": 20 * hours, "total_tokens": 1000}
                told |= {"step": step, "total_steps": 12}
                rows.append({"configuration": index, "seed": seed, **parameters, **told})
    path = tmp_path / "table.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    table = Table("made", path)
    for parameters in configurations(63)[:20]:
        told, true = table.curve(parameters, 0), family.curve(parameters, 42)
        assert told.true_loss == pytest.approx(true.true_loss, abs=0.03)
        assert told.hours[-1] == pytest.approx(true.hours[-1], rel=0.1)
    found = errors(table)
    assert found["configurations"] == len(configurations(63))
    assert found["mean absolute error"] < 0.5 * found["standard deviation"]


# Made-up curves


@pytest.mark.parametrize("name", FAMILIES)
def test_a_familys_curves_depend_on_seeds_alone(name: str) -> None:
    for one in configurations(7):
        assert repr(Family(name, 1).curve(one, 2)) == repr(Family(name, 1).curve(one, 2))
        assert repr(Family(name, 1).curve(one, 2)) != repr(Family(name, 1).curve(one, 3))
        assert repr(Family(name, 1).curve(one, 2)) != repr(Family(name, 2).curve(one, 2))


def agreement(name: str, point: int) -> float:
    """Return the rank correlation of losses at a point and at the end, over the better half."""
    curves = [Family(name, 0).curve(one, 0) for one in configurations(255)]
    curves.sort(key=lambda one: one.true_loss)
    early = [one.losses[point] for one in curves[:64]]
    late = [one.losses[-1] for one in curves[:64]]
    pairs = list(itertools.combinations(zip(early, late, strict=True), 2))
    signs = [math.copysign(1, (a[0] - b[0]) * (a[1] - b[1])) for a, b in pairs]
    return sum(signs) / len(signs)


def test_early_ranks_tell_the_last_ones_only_where_they_are_meant_to() -> None:
    for misleading in ("crossing_extreme", "slow_extreme", "noisy_extreme"):
        assert agreement(misleading, 1) < 0.5 < agreement("agreeing", 1)


ORDINARY = ("agreeing", "shifting", "noisy")


def test_only_extreme_families_go_beyond_what_tables_show() -> None:
    tables = [of_table(table) for table in TABLES.values()]
    for name in FAMILIES:
        found = mean(of_problem(Family(name, seed)) for seed in range(3))
        within = [
            min(getattr(table, figure) for table in tables) - margin
            <= getattr(found, figure)
            <= max(getattr(table, figure) for table in tables) + margin
            for figure, margin in (
                ("quarter", 0.02),
                ("half", 0.02),
                ("best_quarter", 0.05),
                ("crossing", 0.01),
                ("slow", 0.01),
                ("diverged", 0.01),
                ("noise", 0.002),
            )
        ]
        assert all(within) == (name in ORDINARY)


def test_some_of_a_diverging_family_explode_and_some_give_no_number() -> None:
    seeds, found = range(4), configurations(63)
    curves = [Family("diverging_extreme", seed).curve(one, 0) for seed in seeds for one in found]
    assert 5 < sum(math.isnan(one.losses[-1]) for one in curves) < len(curves) / 2
    assert 5 < sum(one.losses[-1] > 10 for one in curves) < len(curves) / 2
    assert all(math.isfinite(one.true_loss) for one in curves)


# Sweeps over them


def test_the_same_seed_decides_alike_and_halving_saves_tokens() -> None:
    family = Family("agreeing", 0)
    halving = (*RANDOM, "scheduler=asha")
    whole, stopped = (simulate(family, one, 8, Budget(30), SEEDS) for one in (RANDOM, halving))
    assert simulate(family, halving, 8, Budget(30), SEEDS).decisions() == stopped.decisions()
    assert len(whole.trials) == len(stopped.trials) == 30
    assert stopped.tokens < 0.5 * whole.tokens
    assert whole.idle == pytest.approx(0.0)


@pytest.mark.parametrize(
    "problem", [Family("agreeing", 3), TABLES["recorded_pydocs_gpu"]], ids=["family", "table"]
)
def test_a_warm_start_begins_with_the_best_of_another_problem(problem: Problem) -> None:
    trace = METHODS["warm_start"].run(problem, 8, Budget(6), SEEDS)
    before = earlier_problem(problem)
    assert before != problem
    ranked = sorted(before.curve(one, SEEDS.noise).true_loss for one in configurations(255))
    asked = [plain(decision[2]) for decision in trace.decisions() if decision[0] == "asked"]
    assert [before.curve(one, SEEDS.noise).true_loss for one in asked[1:4]] == ranked[:3]
    assert len(trace.trials) == 6


def test_in_batches_every_slot_waits_for_the_slowest() -> None:
    trace = in_batches(Family("agreeing", 0), 4, Budget(8), SEEDS)
    began = sorted(one.began for one in trace.trials)
    first = [one.ended for one in trace.trials if one.began == 0]
    assert began == [0.0] * 4 + [max(first)] * 4
    assert trace.idle > 0.05


def test_optuna_alone_keeps_its_slots_busy_and_prunes() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.RandomSampler(0)
    halving = optuna.pruners.SuccessiveHalvingPruner()
    trace = search(OptunaAlone(sampler, halving), Family("agreeing", 0), 4, Budget(24), SEEDS)
    assert len(trace.trials) == 24
    assert trace.idle == pytest.approx(0.0)
    assert 0 < sum(one.value is None for one in trace.trials) < 24


def test_ray_tune_is_told_of_what_it_stopped_and_decides_alike_with_the_same_seed() -> None:
    first, again = (
        search(RayTune(3), Family("diverging_extreme", 0), 4, Budget(24), SEEDS) for _ in range(2)
    )
    assert first.trials == again.trials
    assert 0 < sum(one.value is None for one in first.trials) < 24


def test_syne_tune_stops_trials_too_and_decides_alike_with_the_same_seed() -> None:
    pytest.importorskip("syne_tune", reason="pip install -e .[bench]")
    from benchmarks.tabular.peers.syne_tune import SyneTune

    trace, again = (
        search(SyneTune("BOHB", 3), Family("diverging_extreme", 0), 4, Budget(24), SEEDS)
        for _ in range(2)
    )
    assert trace.trials == again.trials
    assert len(trace.trials) == 24
    assert 0 < sum(one.value is None for one in trace.trials) < 24


def test_the_best_is_chosen_by_what_was_told_and_judged_without_noise() -> None:
    class Lucky:
        name = "lucky"

        def curve(self, parameters: object, seed: int) -> Curve:
            """Report a slightly better value for each configuration."""
            self.told = getattr(self, "told", 5.0) - 0.1
            return Curve([9.0, self.told], [0.0, 1.0], 0.0, 100, 10 - self.told)

    trace = simulate(Lucky(), RANDOM, 1, Budget(3), SEEDS)
    assert [loss for _, _, loss in trace.best()] == pytest.approx([5.1, 5.2, 5.3])
    assert trace.until(5.15) == (1.0, 100)
    assert trace.until(5.0) is None
