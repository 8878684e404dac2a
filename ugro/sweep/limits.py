"""When does a study end before its trials are used up?"""

from dataclasses import dataclass, field

from ugro.config import StudyConfig


@dataclass
class Limits:
    """The study's own limits and what counts towards them.

    Attributes:
        maximised: whether the first objective is
        tokens: trained on by all trials, running and earlier ones and other drivers' included
        best: first objective so far; None before a trial is complete
    """

    config: StudyConfig
    maximised: bool
    tokens: int = 0
    best: float | None = None
    _trained: dict[int, int] = field(default_factory=dict)  # tokens by trial

    def trained(self, number: int, tokens: int) -> None:
        """Take note of how many tokens a trial has come to; what it repeats counts once."""
        more = max(0, tokens - self._trained.get(number, 0))
        self._trained[number] = self._trained.get(number, 0) + more
        self.tokens += more

    def valued(self, value: float) -> None:
        """Take note of a complete trial's first objective."""
        better = max if self.maximised else min
        self.best = value if self.best is None else better(self.best, value)

    def reached(self, seconds: float) -> str:
        """The limit that is reached, as ``key=value``; empty while there is none.

        Args:
            seconds: since the driver began
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
