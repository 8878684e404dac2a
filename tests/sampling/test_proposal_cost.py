"""Time of proposals against the time of trials."""

import pytest

from ugro.sampling.proposal_cost import ProposalCost, expected_seconds, seconds_per_trial


def test_the_expected_time_applies_until_three_proposals_are_measured() -> None:
    cost = ProposalCost()
    for _ in range(2):
        cost.add(20, 10.0)
    assert cost.seconds(20) == expected_seconds(20)
    cost.add(20, 10.0)
    assert cost.seconds(20) == pytest.approx(10.0)


def test_the_measured_time_is_scaled_to_the_number_of_trials() -> None:
    cost = ProposalCost()
    for trials in (20, 30, 40):
        cost.add(trials, 2 * expected_seconds(trials))
    assert cost.seconds(400) == pytest.approx(2 * expected_seconds(400))


def test_a_rejected_draw_is_part_of_the_next_proposal() -> None:
    cost = ProposalCost()
    for _ in range(3):
        cost.add(20, expected_seconds(20))
        cost.reject()
        cost.add(20, expected_seconds(20))
    assert cost.seconds(20) == pytest.approx(2 * expected_seconds(20))


def test_running_trials_count_and_an_interrupted_one_does_not_dominate() -> None:
    assert seconds_per_trial([10, 20], [60]) == pytest.approx(15 + 30)
    assert seconds_per_trial([10, 10, 43200], []) == pytest.approx((10 + 10 + 200) / 3)
