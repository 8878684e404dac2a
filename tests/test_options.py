"""Every option of every group is valid; best experiment and reproduction are of the same trial."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from optuna.trial import TrialState, create_trial

from ugro.analysis.results import OF_STUDY, experiment
from ugro.cli.rerun import configuration_of
from ugro.config import typed
from ugro.config.validation.validation import validate
from ugro.errors import UserError

from .conftest import ROOT

GROUPS = [
    f"{path.relative_to(ROOT / 'conf').parent}={path.stem}"
    for path in sorted((ROOT / "conf").glob("*/*.yaml"))
    if path.parent.name != "hydra"
]
RECORDS = ["data=jsonl", "data.train_files=[a]"]
OF_FILES = ("text", "csv", "json", "jsonl", "parquet")
NEEDED = {
    "model=local": ["model.path=somewhere"],
    **{f"data={name}": ["data.train_files=[a]"] for name in OF_FILES},
    "metrics=lm_eval": [
        "metrics.lm_eval.tasks=[arc_easy]",
        "metrics.lm_eval.returns=[arc_easy_acc]",
    ],
    "task=dpo": RECORDS,
    "objectives=reward_accuracy": ["task=dpo", *RECORDS],
    "task=classification": RECORDS,
    "objectives=accuracy": ["task=classification", *RECORDS],
    "data=mixture": ["data.sets=[{source: jsonl, train_files: [a]}]"],
    **{f"data={name}": ["data.path=somewhere"] for name in ("hub", "arrow")},
}
LIBRARIES = {
    "metrics=lm_eval": "lm_eval",
    "quantization=bnb_nf4": "bitsandbytes",
    "quantization=bnb_int8": "bitsandbytes",
    "quantization=torchao_int8": "torchao",
}
LATENCY_ALONE = ["objectives=loss_latency", "~objectives.metrics.eval_loss"]
MODES = [f"objectives={one.stem}" for one in sorted((ROOT / "conf" / "objectives").glob("*.yaml"))]


def laid_down(trial: Path, config: DictConfig) -> None:
    """As Hydra writes a trial's configuration."""
    (trial / ".hydra").mkdir(parents=True)
    (trial / ".hydra" / "config.yaml").write_text(OmegaConf.to_yaml(config))


def of_the_trial(config: DictConfig) -> dict[str, object]:
    plain = OmegaConf.to_container(config, resolve=True, enum_to_str=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items() if key not in OF_STUDY}


@pytest.mark.parametrize(
    "asked",
    [
        *([one] for one in GROUPS),
        *([one, f"objectives.mode={mode}"] for one in MODES for mode in ("chebyshev", "pareto")),
        LATENCY_ALONE,
    ],
    ids=" ".join,
)
def test_any_option_is_valid_and_its_trial_comes_out_of_what_it_leaves(
    asked: list[str], composed: Callable[..., DictConfig], tmp_path: Path
) -> None:
    config = composed("study.name=s", *asked, *NEEDED.get(asked[0], []))
    laid_down(tmp_path / "0000", config)
    again = configuration_of(tmp_path / "0000")
    wanted = typed(config)
    if asked[0] in LIBRARIES:
        pytest.importorskip(LIBRARIES[asked[0]])
    if asked != LATENCY_ALONE:  # is valid beside a metric that is reported
        validate(wanted)
    for key in of_the_trial(config):
        assert getattr(again, key) == getattr(wanted, key), key
    trial = create_trial(state=TrialState.COMPLETE, value=1.0)
    best = experiment(trial, tmp_path / "0000" / ".hydra" / "config.yaml")
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "best.yaml").write_text(best)
    path = f"hydra.searchpath=[file://{tmp_path}]"
    with initialize_config_dir(config_dir=str(ROOT / "conf")):
        found = compose("config", ["study.name=new", path, "experiment=best"])
    assert of_the_trial(found) == of_the_trial(config)
    assert not GlobalHydra.instance().is_initialized()


@pytest.mark.parametrize("unknown", ["rank", "alpha_share"])
def test_a_best_experiment_with_a_key_of_no_schema_is_refused(unknown: str, tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "best.yaml").write_text(
        f"# @package _global_\nlora:\n  {unknown}: 4\n"
    )
    path = f"hydra.searchpath=[file://{tmp_path}]"
    with initialize_config_dir(config_dir=str(ROOT / "conf")):
        try:
            typed(compose("config", ["study.name=new", path, "experiment=best"]))
        except UserError as error:
            assert str(error).startswith(f"lora.{unknown}: no key of the schema")  # noqa: PT017
        except Exception as error:
            assert f"'{unknown}' not in 'LoraConfig'" in f"{error} {error.__cause__}"  # noqa: PT017
        else:
            pytest.fail("it was accepted")
