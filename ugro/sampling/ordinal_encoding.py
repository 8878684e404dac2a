"""Ordinal encoding of numeric choices, so that samplers see their order."""

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial, create_trial

from ugro.space.search_space import values

MIN_CHOICES = 3  # an order of two values adds no information


class OrdinalEncoding:
    """Conversion of numeric choices to ranks and back.

    To a sampler the choices ``8,16,32`` are unordered names: results of 8 and 32 say nothing about
    16. As ranks 0, 1, 2 they are neighbours, and geometric choices, the usual case, are on their
    natural scale. Syne Tune calls such a key ordinal.

    Args:
        distributions: the study's distributions
    """

    def __init__(self, distributions: Mapping[str, BaseDistribution]) -> None:
        self._distributions = distributions
        self._choices = {
            key: sorted(values(over))
            for key, over in distributions.items()
            if isinstance(over, CategoricalDistribution) and _are_numbers(over)
        }

    def distribution(self, key: str, over: BaseDistribution) -> BaseDistribution:
        """Return the encoded distribution of a key."""
        return IntDistribution(0, len(self._choices[key]) - 1) if key in self._choices else over

    def distributions(self, decoded: Mapping[str, BaseDistribution]) -> dict[str, BaseDistribution]:
        """Return the encoded distributions of several keys."""
        return {key: self.distribution(key, over) for key, over in decoded.items()}

    def encode(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Convert a study's parameters to a sampler's.

        Raises:
            ValueError: a number is not one of the choices.
        """
        return {
            key: self._choices[key].index(value) if key in self._choices else value
            for key, value in parameters.items()
        }

    def decode(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Convert a sampler's parameters to the study's."""
        return {
            key: self._choices[key][value] if key in self._choices else value
            for key, value in parameters.items()
        }

    def encode_trial(self, trial: FrozenTrial) -> FrozenTrial:
        """Convert a trial of the study to a trial of the sampler."""
        encoded = self.distributions(trial.distributions)
        return _copy(trial, self.encode(trial.params), encoded)

    def decode_trial(self, trial: FrozenTrial) -> FrozenTrial:
        """Convert a trial of the sampler to a trial of the study."""
        decoded = {
            key: self._distributions[key] if key in self._choices else over
            for key, over in trial.distributions.items()
        }
        return _copy(trial, self.decode(trial.params), decoded)


def _copy(
    trial: FrozenTrial, parameters: dict[str, Any], distributions: dict[str, BaseDistribution]
) -> FrozenTrial:
    return create_trial(
        state=trial.state,
        values=trial.values,
        params=parameters,
        distributions=distributions,
        user_attrs=trial.user_attrs,
        system_attrs=trial.system_attrs,
        intermediate_values=trial.intermediate_values,
    )


def _are_numbers(over: CategoricalDistribution) -> bool:
    """Whether all choices are numbers, not bools, and there are enough of them."""
    numeric = all(isinstance(c, int | float) and not isinstance(c, bool) for c in over.choices)
    return numeric and len(set(over.choices)) >= MIN_CHOICES
