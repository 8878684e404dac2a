"""What does a sampler see of a choice among numbers? Their order, not names without one."""

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial, create_trial

from ugro.space.search_space import values

FEWEST = 3  # of two values, one is as near to the other as names are


class OrdinalEncoding:
    """Choices among numbers as their ranks, and back.

    To a sampler a choice of ``8,16,32`` is three names: what it learns of 16 and of 32 says nothing
    of the rank between them. As ranks 0, 1, 2 they are neighbours, and what is chosen in geometric
    steps, as most of it is, has its scale. Syne Tune calls such a key ordinal.

    Args:
        distributions: as the study has them
    """

    def __init__(self, distributions: Mapping[str, BaseDistribution]) -> None:
        self._choices = {
            key: sorted(values(over))
            for key, over in distributions.items()
            if isinstance(over, CategoricalDistribution) and _are_numbers(over)
        }

    def distribution(self, key: str, over: BaseDistribution) -> BaseDistribution:
        """A key's distribution as the sampler is to see it."""
        return IntDistribution(0, len(self._choices[key]) - 1) if key in self._choices else over

    def distributions(self, of: Mapping[str, BaseDistribution]) -> dict[str, BaseDistribution]:
        """Of several keys, as the sampler is to see them."""
        return {key: self.distribution(key, over) for key, over in of.items()}

    def ranks(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters as the sampler sees them.

        Raises:
            ValueError: a number is none of the choices.
        """
        return {
            key: self._choices[key].index(value) if key in self._choices else value
            for key, value in parameters.items()
        }

    def numbers(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters as the study has them."""
        return {
            key: self._choices[key][value] if key in self._choices else value
            for key, value in parameters.items()
        }

    def seen(self, trial: FrozenTrial) -> FrozenTrial:
        """A finished trial of the study as the sampler sees it."""
        return create_trial(
            state=trial.state,
            values=trial.values,
            params=self.ranks(trial.params),
            distributions=self.distributions(trial.distributions),
            user_attrs=trial.user_attrs,
            system_attrs=trial.system_attrs,
            intermediate_values=trial.intermediate_values,
        )


def _are_numbers(over: CategoricalDistribution) -> bool:
    """Whether there are enough, all of them numbers; truth values are none."""
    plain = all(isinstance(one, int | float) and not isinstance(one, bool) for one in over.choices)
    return plain and len(set(over.choices)) >= FEWEST
