"""The copies of published architectures, by the published numbers of parameters."""

from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoConfig, AutoModelForCausalLM

from ugro.config import ModelConfig
from ugro.trial.model.architecture import COPIES, copy_in_use

from ...conftest import ROOT

PARAMETERS = {
    "Qwen/Qwen2.5-0.5B-Instruct": 494_032_768,
    "Qwen/Qwen2.5-32B-Instruct": 32_763_876_352,
    "Qwen/Qwen3-8B": 8_190_735_360,
    "meta-llama/Llama-2-7b-hf": 6_738_415_616,
    "meta-llama/Llama-3.1-70B": 70_553_706_496,
    "meta-llama/Llama-3.1-8B": 8_030_261_248,
}


@pytest.mark.parametrize("path", PARAMETERS)
def test_a_copy_has_the_published_number_of_parameters(path: str) -> None:
    copy = copy_in_use(ModelConfig(path=path))
    assert copy is not None
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(copy))
    assert sum(one.numel() for one in model.parameters()) == PARAMETERS[path]


def test_each_hub_model_of_the_repository_has_a_copy_and_each_copy_is_checked() -> None:
    options = (ROOT / "conf" / "model").glob("*.yaml")
    paths = {yaml.safe_load(option.read_text()).get("path") for option in options} - {None}
    names = {f"{path.replace('/', '--')}.json" for path in paths}
    assert names == {copy.name for copy in COPIES.iterdir()}
    assert paths == PARAMETERS.keys()


def test_the_hubs_file_goes_first_and_a_revision_has_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "Qwen/Qwen3-8B"
    copy = copy_in_use(ModelConfig(path=path))
    assert copy is not None
    assert copy_in_use(ModelConfig(path=path, revision="b968826")) is None
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / path
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(copy.read_text())
    assert copy_in_use(ModelConfig(path=path)) is None
