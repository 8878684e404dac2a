"""Make the schema and its resolvers known to Hydra."""

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from ugro.config.schema import Config
from ugro.config.study import (
    SCHEDULERS,
    ObjectivesConfig,
)

PATTERNS = ("lora.rank_pattern", "lora.alpha_pattern")  # mappings with names of their own


def register_schema() -> None:
    """Make the schema and the resolvers of ``conf/`` known to Hydra."""
    store = ConfigStore.instance()
    schema = OmegaConf.structured(Config)
    for open_ended in (
        "metrics",
        "objectives.metrics",
        "data.eval_sets",
        "training.lr_scheduler_kwargs",
        "training.extra",
        *PATTERNS,
    ):
        # metrics.mine={...} needs no +
        OmegaConf.set_struct(OmegaConf.select(schema, open_ended), False)
    store.store(name="schema", node=schema)
    for name, scheduler in SCHEDULERS.items():  # each has keys of its own
        store.store(group="scheduler/schema", name=name, node=scheduler)
    # A configuration that has its own metrics begins here: in another option's they would join.
    store.store(group="objectives", name="empty", node=ObjectivesConfig)
    register_resolvers()


def register_resolvers() -> None:
    """Make ``${multiply:a,b}`` known to OmegaConf."""

    OmegaConf.register_resolver("multiply", lambda a, b: a * b, replace=True)
