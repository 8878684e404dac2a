import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from ugro.ending import Ending
from ugro.errors import StudyFailed
from ugro.record.recorder import Recorder
from ugro.record.study import ending
from ugro.report import TrialResult

from ..studies import in_memory, start

OVER = {"lora.r": CategoricalDistribution((4, 8))}


def test_what_happens_is_recorded_in_order() -> None:
    study = in_memory()
    start(study, OVER)  # an earlier trial has number 0
    recorder = Recorder(study)
    first, second = (recorder.start({"lora.r": r}, OVER, "sampler") for r in (4, 8))
    assert (first, second) == (1, 2)
    recorder.report(second, 100, 3.0)
    recorder.tell(second, Ending.RUNG)
    recorder.tell(first, Ending.COMPLETE, TrialResult((2.0,), {"eval_loss": 2.0}))
    recorder.close()
    _, one, two = study.trials()
    assert (one.params, one.value, ending(one)) == ({"lora.r": 4}, 2.0, Ending.COMPLETE)
    assert (two.params, two.value, two.state) == ({"lora.r": 8}, 3.0, TrialState.PRUNED)


def test_an_error_of_the_storage_is_not_swallowed() -> None:
    recorder = Recorder(in_memory())
    recorder.report(7, 100, 3.0)  # no such trial
    with pytest.raises(KeyError):
        recorder.close()


def test_a_second_driver_is_noticed() -> None:
    study = in_memory()
    recorder = Recorder(study)
    start(study, OVER)
    recorder.start({"lora.r": 4}, OVER, "sampler")
    with pytest.raises(StudyFailed, match="another driver writes into study s"):
        recorder.close()
