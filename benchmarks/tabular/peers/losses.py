"""What peers are told of the losses of diverged trials."""

import math

UNKNOWN = 100.0  # nats, above the loss of any model: the worst loss before a finite one is known


class Losses:
    """Losses as peers are told them: a diverged trial's is the worst finite one so far."""

    def __init__(self) -> None:
        self._worst = -math.inf

    def told(self, loss: float, value: float | None = None) -> float:
        """Return what to tell of a report or of the end of a trial.

        Args:
            loss: the trial's last loss
            value: its final value; None if there is none, NaN if it has diverged
        """
        if math.isfinite(loss):
            self._worst = max(self._worst, loss)
        told = loss if value is None else value
        if math.isfinite(told):
            return told
        return self._worst if math.isfinite(self._worst) else UNKNOWN
