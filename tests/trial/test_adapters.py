"""Trials of every adapter: training, the saved files, interruption, and the estimate."""

from collections.abc import Callable
from pathlib import Path

import peft
import pytest
import torch
from safetensors.torch import load_file

from ugro.config import ADAPTERS, Config, adapter_of
from ugro.config.quantization import adapters_of
from ugro.config.validation.validation import validate
from ugro.errors import UserError
from ugro.events.channel import TrialInterruptedError
from ugro.events.trial_report import TrialResult
from ugro.trial.data.preparation import prepare
from ugro.trial.export.weights import merge
from ugro.trial.latency import merged
from ugro.trial.memory_estimate import estimate_memory
from ugro.trial.model.adapter import adapted
from ugro.trial.model.base_models import load
from ugro.trial.tasks.language_modeling import evaluate
from ugro.trial.trial import run_trial

from ..conftest import QUICK
from .conftest import Run
from .test_continuing import Told

Settings = Callable[..., Config]

WEIGHTS = "adapter/adapter_model.safetensors"
THREE = ("training.max_steps=3", "training.eval_steps=3", "training.learning_rate=0.01")


# Those named most often are tested at each change.
OFTEN = ("adalora", "boft", "ia3", "oft", "vera")
EACH = [
    pytest.param(name, marks=() if name in OFTEN else pytest.mark.long, id=name)
    for name in ADAPTERS
]


@pytest.mark.parametrize("name", EACH)
def test_three_steps_of_any_adapter_are_what_plain_peft_loads(
    name: str, run: Run, settings: Settings, cache_dir: Path
) -> None:
    result, folder = run(f"adapter={name}", *THREE)
    check(result, folder, settings(*QUICK, f"adapter={name}", *THREE), cache_dir)


def check(result: TrialResult, folder: Path, config: Config, cache_dir: Path) -> None:
    """Check the adapter that plain PEFT loads, the same merged, and the estimate's parameters."""
    assert result.metrics["eval_loss"] != result.metrics["base_eval_loss"]
    assert estimate_memory(config).trainable == result.metrics["trainable_parameters"]
    base = load(config.model, torch.float32, cache_dir)
    part = prepare(config.data, base.tokenizer, cache_dir).evaluation
    loaded = peft.PeftModel.from_pretrained(base.model, folder / "adapter")
    assert evaluate(loaded, part, 8).loss == pytest.approx(float(result), abs=1e-5)
    assert evaluate(merge(loaded), part, 8).loss == pytest.approx(float(result), abs=1e-4)


@pytest.mark.parametrize("name", [name for name in adapters_of("bitsandbytes") if name != "lora"])
def test_so_are_those_on_a_quantised_base(
    name: str, run: Run, settings: Settings, cache_dir: Path
) -> None:
    pytest.importorskip("bitsandbytes")
    given = (f"adapter={name}", "quantization=bnb_nf4", *THREE)
    result, folder = run(*given)
    config = settings(*QUICK, *given)
    base = load(config.model, torch.float32, cache_dir, quantization=config.quantization)
    part = prepare(config.data, base.tokenizer, cache_dir).evaluation
    loaded = peft.PeftModel.from_pretrained(base.model, folder / "adapter")
    assert evaluate(loaded, part, 8).loss == pytest.approx(float(result), abs=1e-5)
    assert result.metrics["eval_loss"] != result.metrics["base_eval_loss"]


@pytest.mark.parametrize("quantization", ["bnb_nf4", "torchao_int8"])
def test_an_adapter_that_peft_does_not_have_for_quantised_layers_is_refused(
    quantization: str, settings: Settings
) -> None:
    allowed = "lora" if quantization == "torchao_int8" else "lora, adalora, hira, randlora, road"
    with pytest.raises(UserError, match=f"^adapter: 'vera' given, allowed: {allowed}"):
        validate(settings(*QUICK, "adapter=vera", f"quantization={quantization}"))


EVA = ("lora.init_lora_weights=eva", "lora.eva_rho=2")
PATTERNS = "lora.rank_pattern={q_proj: 2, down_proj: 6}"
LORA = {
    "rank_pattern": [PATTERNS],
    "rank_pattern, rewritten base": [PATTERNS, "lora.init_lora_weights=pissa"],
    "alpha_pattern": ["lora.alpha_pattern={v_proj: 64, 1.mlp.down_proj: 1}"],
    "layers_to_transform": ["lora.layers_to_transform=[1]"],
    "eva": ["lora.init_lora_weights=eva"],
    "loraplus_lr_ratio": ["lora.loraplus_lr_ratio=8"],
}


@pytest.mark.parametrize("asked", LORA.values(), ids=LORA)
def test_so_are_those_of_a_lora_with_more_keys(
    asked: list[str], run: Run, settings: Settings, cache_dir: Path
) -> None:
    result, folder = run("lora.r=4", *asked, *THREE)
    check(result, folder, settings(*QUICK, "lora.r=4", *asked, *THREE), cache_dir)


@pytest.mark.parametrize("name", EACH)
def test_any_adapter_leaves_the_base_model_as_it_was(
    name: str, settings: Settings, cache_dir: Path
) -> None:
    config = settings("model=tiny", f"adapter={name}")
    base = load(config.model, torch.bfloat16, cache_dir, torch.device("cpu"))
    before = {key: tensor.clone() for key, tensor in base.model.state_dict().items()}
    ids = torch.arange(64).reshape(2, 32)
    with adapted(base, adapter_of(config)) as model:
        trained = [one for one in model.parameters() if one.requires_grad]
        assert {one.dtype for one in trained} == {torch.float32}
        optimizer = torch.optim.SGD(trained, lr=1.0)
        with torch.autocast("cpu", torch.bfloat16):
            model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        with merged(model):
            pass
    after = base.model.state_dict()
    assert before.keys() == after.keys()
    assert [key for key in before if not torch.equal(before[key], after[key])] == []


@pytest.mark.parametrize(
    "asked",
    [
        ["adapter=adalora"],
        pytest.param(["adapter=vera"], marks=pytest.mark.long),
        pytest.param(["adapter=ia3"], marks=pytest.mark.long),
        [PATTERNS],
        [
            "lora.init_lora_weights=eva",
            "lora.eva_rho=2",
            "lora.r=4",
            "lora.target_modules=[o_proj]",
            "lora.loraplus_lr_ratio=4",
        ],
    ],
    ids=" ".join,
)
def test_a_paused_and_resumed_trial_equals_an_uninterrupted_one(
    asked: list[str], run: Run, settings: Settings, tmp_path: Path
) -> None:
    longer = ("training.max_steps=8", "training.learning_rate=0.01", *asked)
    expected, folder = run(*longer)
    config = settings(*QUICK, *longer)
    for step in (2, 6):
        with pytest.raises(TrialInterruptedError):
            run_trial(config, tmp_path, Told(pause_at=step))
    result = run_trial(config, tmp_path, Told())
    assert result.values == expected.values
    one, other = (load_file(where / WEIGHTS) for where in (folder, tmp_path))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
