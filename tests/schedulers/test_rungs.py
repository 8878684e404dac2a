from ugro.schedulers.rungs import Rungs


def passed(rungs: Rungs[float], trial: str, resource: float, value: float) -> dict[float, float]:
    return {rung.level: values[0] for rung, values in rungs.passed(trial, resource, (value,))}


def test_rungs_are_geometric_and_below_the_end() -> None:
    assert [rung.level for rung in Rungs(100, 4, 1600).rungs] == [100, 400]  # 1600 is the end
    assert [rung.level for rung in Rungs(100, 3, 1600).rungs] == [100, 300, 900]
    assert Rungs(1600, 4, 1600).rungs == []
    thirds = [rung.level for rung in Rungs(0.1, 10, 1).rungs]  # 0.1 * 10 is 1 up to rounding
    assert thirds == [0.1]


def test_a_rung_is_passed_once() -> None:
    rungs: Rungs[float] = Rungs(100, 4, 1600)
    assert passed(rungs, "a", 50, 5.0) == {}
    assert passed(rungs, "a", 100, 4.0) == {100: 4.0}
    assert passed(rungs, "a", 200, 3.0) == {}
    assert passed(rungs, "a", 400, 2.0) == {400: 2.0}


def test_a_result_beyond_a_rung_is_interpolated_at_the_rung() -> None:
    rungs: Rungs[float] = Rungs(100, 4, 1600)
    assert passed(rungs, "a", 50, 5.0) == {}
    assert passed(rungs, "a", 150, 3.0) == {100: 4.0}  # half way from 5 to 3
    assert passed(rungs, "b", 150, 3.0) == {100: 3.0}  # nothing before: as it is


def test_several_rungs_may_be_passed_at_once() -> None:
    rungs: Rungs[float] = Rungs(100, 2, 1000)
    assert passed(rungs, "a", 50, 8.0) == {}
    # 350 lies 300 beyond 50; the loss falls by 6 on the way: by 1 up to 100, by 3 up to 200.
    assert passed(rungs, "a", 350, 2.0) == {100: 7.0, 200: 5.0}


def test_a_removed_trial_is_forgotten() -> None:
    rungs: Rungs[float] = Rungs(100, 4, 1600)
    passed(rungs, "a", 100, 4.0)
    rungs.forget("a")
    rungs.forget("never seen")
    assert passed(rungs, "a", 100, 2.0) == {100: 2.0}


def test_a_first_report_counts_at_the_last_rung_reached() -> None:
    rungs: Rungs[float] = Rungs(100, 2, 1600)
    assert passed(rungs, "a", 450, 2.0) == {400: 2.0}
    assert passed(rungs, "a", 900, 2.0) == {800: 2.0}
