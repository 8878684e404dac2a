import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import open_dict

from ugro.errors import UserError
from ugro.sweep.definition import check_same
from ugro.sweep.plan import Plan, plan_of

from ..conftest import ROOT
from ..studies import in_memory


def planned(*overrides: str) -> Plan:
    arguments = ["study.name=s", "lora.r=4,8", *overrides]
    with initialize_config_dir(config_dir=str(ROOT / "conf")):
        loader = GlobalHydra.instance().config_loader()
        config = loader.load_configuration("config", ["study.name=s"], RunMode.MULTIRUN)
        with open_dict(config):
            config.hydra.job.name = "test"
        return plan_of(config, loader, arguments)


@pytest.mark.parametrize("allowed", ["false", "true"])
@pytest.mark.parametrize(
    ("asked", "told", "began"),
    [
        ((), "minimize", "maximize"),
        (("objectives=loss_memory", "objectives.mode=scalarized"), "maximize", "minimize"),
    ],
    ids=["one", "scalarized"],
)
def test_a_study_is_never_optimised_the_other_way(
    asked: tuple[str, ...], told: str, began: str, allowed: str
) -> None:
    study = in_memory(began, objectives=["eval_loss"])
    study.define({"objectives.mode": "another"})
    with pytest.raises(
        UserError, match=rf"^objectives: '{told}' given, allowed: {began}, of eval_"
    ):
        check_same(study, planned(*asked, f"study.allow_change={allowed}"))


def test_what_does_not_turn_it_round_may_be_allowed() -> None:
    study = in_memory("minimize", objectives=["eval_loss"])
    study.define({"model.path": "another"})
    with pytest.raises(UserError, match=r"study\.allow_change=true goes on nevertheless$"):
        check_same(study, planned())
    check_same(study, planned("study.allow_change=true"))
