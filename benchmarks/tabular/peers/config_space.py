"""The search space in ConfigSpace's types, for SMAC and BOHB.

Requires ``pip install -e .[bench]``.
"""

from ConfigSpace import ConfigurationSpace, Float
from ConfigSpace.hyperparameters import (
    CategoricalHyperparameter,
    Hyperparameter,
    OrdinalHyperparameter,
)
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from ..plans import space
from .choices import numeric_choices


def config_space(seed: int, ordered: bool) -> ConfigurationSpace:
    """Return the search space.

    Args:
        seed: seed of its random draws
        ordered: whether choices of numbers are ordinal
    """
    searched = ConfigurationSpace(seed=seed)
    searched.add([_hyperparameter(key, over, ordered) for key, over in space().items()])
    return searched


def _hyperparameter(key: str, over: BaseDistribution, ordered: bool) -> Hyperparameter:
    if isinstance(over, CategoricalDistribution):
        numbers = numeric_choices(over)
        if ordered and numbers is not None:
            return OrdinalHyperparameter(key, list(numbers))
        return CategoricalHyperparameter(key, list(numbers or over.choices))
    assert isinstance(over, FloatDistribution)
    return Float(key, (over.low, over.high), log=over.log)
