import json

from ugro.events.trial_report import Report

FIRST = Report(0, 4, 0, 400, 0.5, {"eval_loss": 3.0}, 1.0, {"eval_data": "ab12"})


def test_fingerprints_of_the_data_are_one_key_of_the_report() -> None:
    plain = json.loads(json.dumps(FIRST.as_dict()))
    assert plain["data"] == {"eval_data": "ab12"}
    assert Report.from_dict(plain).data == FIRST.data


def test_a_report_without_fingerprints_has_no_data_key() -> None:
    plain = Report(1, 4, 100, 400, 1.5, {"eval_loss": 2.0}, 2.0).as_dict()
    assert "data" not in plain
    assert Report.from_dict(plain).data == {}
