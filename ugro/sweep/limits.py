"""Limits that end a study early: seconds, tokens and a target value."""

from dataclasses import dataclass, field

from ugro.config import StudyConfig


@dataclass
class Limits:
    """Limits of a study and the amounts counted towards them.

    Attributes:
        config: ``study`` of the configuration
        maximised: whether the first objective is maximised
        tokens: training tokens of all trials, including running, earlier and other drivers' trials
        best: best value of the first objective; None before a trial is complete
    """

    config: StudyConfig
    maximised: bool
    tokens: int = 0
    best: float | None = None
    _trained: dict[int, int] = field(default_factory=dict)  # tokens by trial

    def add_tokens(self, number: int, tokens: int) -> None:
        """Update the tokens of a trial; tokens repeated after a checkpoint count once.

        Args:
            number: number of the trial
            tokens: training tokens since its start
        """
        more = max(0, tokens - self._trained.get(number, 0))
        self._trained[number] = self._trained.get(number, 0) + more
        self.tokens += more

    def add_value(self, value: float) -> None:
        """Add the first objective of a complete trial."""
        better = max if self.maximised else min
        self.best = value if self.best is None else better(self.best, value)

    def reached(self, seconds: float) -> str:
        """Return the limit that is reached as ``key=value``, or an empty string.

        Args:
            seconds: seconds since the driver started
        """
        config = self.config
        if config.max_seconds is not None and seconds >= config.max_seconds:
            return f"study.max_seconds={config.max_seconds:g}"
        if config.max_tokens is not None and self.tokens >= config.max_tokens:
            return f"study.max_tokens={config.max_tokens}"
        if config.target is not None and self.best is not None:
            hit = self.best >= config.target if self.maximised else self.best <= config.target
            return f"study.target={config.target:g}" if hit else ""
        return ""
