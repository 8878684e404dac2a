import logging
from collections.abc import Callable, Iterator
from typing import Any

import peft
import pytest
import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import LlamaForCausalLM, PreTrainedModel
from transformers.trainer_pt_utils import LabelSmoother

from ugro.trial.loss import (
    IGNORED,
    summed_loss,
    token_losses,
    token_losses_with_gradients,
)
from ugro.trial.model import chunked_head

VOCABULARY = 97
CHUNK = 5  # tokens
WEIGHTS = torch.linspace(1, 3, 24).double()
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
NO_DROPOUT = {"resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {"tie_word_embeddings": False}),
    "llama tied": ("Llama", {"tie_word_embeddings": True}),
    "gpt_neox": ("GPTNeoX", {}),
    "mixtral": ("Mixtral", {"num_local_experts": 4}),
    "mixtral with router logits": (
        "Mixtral",
        {"num_local_experts": 4, "output_router_logits": True},
    ),
    "qwen2_moe": (
        "Qwen2Moe",
        {"moe_intermediate_size": 16, "shared_expert_intermediate_size": 16, "num_experts": 4},
    ),
    "gemma2": ("Gemma2", {"head_dim": 8, "final_logit_softcapping": 0.5}),
    "cohere": ("Cohere", {"logit_scale": 0.3}),
    "granite": ("Granite", {"logits_scaling": 0.2}),
}
ADAPTERS: dict[str, dict[str, Any]] = {
    "linear layers": {"target_modules": "all-linear"},
    "the head": {"target_modules": ["lm_head", "q_proj", "c_attn"]},
    "the head, DoRA": {"target_modules": ["lm_head", "q_proj", "c_attn"], "use_dora": True},
    "a trained head": {"target_modules": "all-linear", "modules_to_save": ["lm_head"]},
    "trained embeddings": {
        "target_modules": "all-linear",
        "modules_to_save": ["embed_tokens", "wte"],
    },
    "biases": {"target_modules": "all-linear", "bias": "all"},
}

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunked_head, "CHUNK_BYTES", CHUNK * 4 * VOCABULARY)


def make(name: str) -> PreTrainedModel:
    """Return a random model with well separated logits."""
    torch.manual_seed(0)
    if name == "gpt2":
        tokens = {key: SHAPE[key] for key in ("vocab_size", "bos_token_id", "eos_token_id")}
        config = transformers.GPT2Config(**tokens, **GPT2, **NO_DROPOUT)
        model = transformers.GPT2LMHeadModel(config)
    else:
        kind, options = MODELS[name]
        config = getattr(transformers, f"{kind}Config")(**{**SHAPE, **options})
        model = getattr(transformers, f"{kind}ForCausalLM")(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter *= 5
    return model


def adapted(model: PreTrainedModel, **options: Any) -> peft.PeftModel:
    """Add an adapter that changes the model's output."""
    config = peft.LoraConfig(task_type="CAUSAL_LM", r=4, init_lora_weights=False, **options)
    changed = peft.get_peft_model(model, config)
    with torch.no_grad():
        for name, parameter in changed.named_parameters():
            if "magnitude" in name:  # else DoRA begins as LoRA
                parameter *= 1.5
    return changed


@pytest.fixture(scope="module")
def batch() -> tuple[Tensor, Tensor]:
    """Return a row with a prompt, a padded row and a row with a gap: 24 target tokens."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, VOCABULARY, (3, 12), generator=generator)
    labels = ids.clone()
    labels[0, :4] = IGNORED
    labels[1, 7:] = IGNORED
    labels[2, 6] = IGNORED
    return ids, labels


def whole(model: nn.Module, ids: Tensor, labels: Tensor) -> Tensor:
    """Compute the loss from the model's logits of the full batch in float64."""
    return _losses(model, ids, labels).sum()


def _losses(model: nn.Module, ids: Tensor, labels: Tensor) -> Tensor:
    """Compute the loss of each target token, float64 [tokens]."""
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1].flatten(0, 1)
    targets = labels[:, 1:].flatten()
    return functional.cross_entropy(logits.double(), targets, reduction="none")[targets != IGNORED]


def weighted_whole(model: nn.Module, ids: Tensor, labels: Tensor) -> Tensor:
    """Compute a sum in which each token counts differently, as the losses of preferences do."""
    return (_losses(model, ids, labels) * WEIGHTS).sum()


def weighted(model: nn.Module, ids: Tensor, labels: Tensor) -> Tensor:
    return (token_losses_with_gradients(model, ids, labels).double() * WEIGHTS).sum()


def learned(of: Loss, model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[float, Any]:
    """Return the loss and the gradients of its mean, scaled as by a gradient scaler."""
    model.zero_grad()
    total = of(model, *batch)
    (total * 64 / 24).backward()
    parameters = model.named_parameters()
    return total.item(), {n: p.grad.clone() for n, p in parameters if p.grad is not None}


def assert_same(model: nn.Module, batch: tuple[Tensor, Tensor], rel: float = 1e-6) -> None:
    assert_same_gradients(weighted_whole, weighted, model, batch, rel)
    expected = assert_same_gradients(whole, summed_loss, model, batch, rel)
    losses = token_losses(model, *batch)
    assert losses.shape == (24,)
    assert losses.double().sum().item() == pytest.approx(expected, rel=rel)


def assert_same_gradients(
    one: Loss, other: Loss, model: nn.Module, batch: tuple[Tensor, Tensor], rel: float
) -> float:
    expected, gradients = learned(one, model, batch)
    measured, found = learned(other, model, batch)
    assert measured == pytest.approx(expected, rel=rel)
    assert set(found) == set(gradients) != set()
    largest = max(gradient.norm() for gradient in gradients.values())
    for name, gradient in gradients.items():
        # Some are zero but for rounding: attention does not change with the keys' biases.
        assert (found[name] - gradient).norm() <= 5 * rel * (gradient.norm() + 1e-2 * largest), name
    return expected


@pytest.mark.parametrize("name", [*MODELS, "gpt2"])
def test_loss_and_gradients_equal_those_of_all_logits_at_once(
    name: str, batch: tuple[Tensor, Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert_same(make(name), batch)
    assert not caplog.records  # in chunks


@pytest.mark.parametrize("name", ["llama tied", "gemma2", "gpt2"])
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_adapters_learn_the_same_wherever_they_are(
    adapter: str, name: str, batch: tuple[Tensor, Tensor]
) -> None:
    options = dict(ADAPTERS[adapter])
    model = make(name)
    names = {one.rpartition(".")[2] for one, _ in model.named_modules()}
    for key in ("target_modules", "modules_to_save"):
        if isinstance(options.get(key), list):
            options[key] = [one for one in options[key] if one in names]
    model = adapted(model, **options)
    assert_same(model, batch)
    if "head" in adapter:
        assert any(
            "lm_head" in name and parameter.grad is not None and parameter.grad.norm() > 0
            for name, parameter in model.named_parameters()
        )


@pytest.mark.parametrize("adapter", ["linear layers", "the head, DoRA", "a trained head"])
@pytest.mark.parametrize("inside", [False, True])
def test_under_autocast_they_are_the_same_up_to_rounding(
    adapter: str, inside: bool, batch: tuple[Tensor, Tensor]
) -> None:
    model = adapted(make("llama"), **{**ADAPTERS[adapter], "target_modules": ["lm_head", "q_proj"]})
    autocast = torch.autocast("cpu", torch.bfloat16)
    if inside:  # as accelerate does
        model.forward = autocast(model.forward)
        assert_same(model, batch, rel=5e-3)
    else:
        with autocast:
            assert_same(model, batch, rel=5e-3)


def test_gradients_in_float16_are_those_in_float32_up_to_rounding(
    batch: tuple[Tensor, Tensor],
) -> None:
    model = make("llama")
    _, exact = learned(whole, model, batch)
    with torch.autocast("cpu", torch.float16):
        _, found = learned(summed_loss, model, batch)
    for name, gradient in exact.items():
        assert (found[name] - gradient).norm() <= 5e-3 * gradient.norm(), name


def test_packed_examples_have_the_losses_they_have_alone(batch: tuple[Tensor, Tensor]) -> None:
    model, (ids, _) = make("llama"), batch
    labels = ids.clone()
    labels[:, 5] = IGNORED  # the first of the second example
    positions = torch.tensor([[*range(5), *range(7)]]).expand(3, -1)
    alone = [
        token_losses(model, row[None, part], row[None, part])
        for row in ids
        for part in (slice(0, 5), slice(5, 12))
    ]
    packed = token_losses(model, ids, labels, positions)
    torch.testing.assert_close(packed, torch.cat(alone), rtol=1e-5, atol=1e-5)
    assert summed_loss(model, ids, labels, positions).item() == pytest.approx(packed.sum().item())
    unaware = token_losses(model, ids, labels)
    assert (packed - unaware).abs().max() > 0.01


SMOOTHING = 0.2


def smoothed(model: nn.Module, ids: Tensor, labels: Tensor) -> Tensor:
    return summed_loss(model, ids, labels, smoothing=SMOOTHING)


def torch_smoothed(model: nn.Module, ids: Tensor, labels: Tensor) -> Tensor:
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1].flatten(0, 1).double()
    return functional.cross_entropy(
        logits, labels[:, 1:].flatten(), reduction="sum", label_smoothing=SMOOTHING
    )


def transformers_smoothed(model: nn.Module, ids: Tensor, labels: Tensor) -> Tensor:
    """Their smoother's mean, times the 24 targets."""
    output = {"logits": model(input_ids=ids, use_cache=False).logits.double()}
    return 24 * LabelSmoother(SMOOTHING)(output, labels, shift_labels=True)


@pytest.mark.parametrize("other", [torch_smoothed, transformers_smoothed])
@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt2"])
def test_smoothed_labels_are_those_of_torch_and_of_transformers(
    other: Loss, name: str, batch: tuple[Tensor, Tensor]
) -> None:
    model = adapted(make(name), target_modules=["lm_head", "q_proj", "c_attn"])
    assert_same_gradients(other, smoothed, model, batch, 1e-6)
    assert smoothed(model, *batch).item() != pytest.approx(whole(model, *batch).item())


def test_smoothed_labels_are_the_same_where_the_head_cannot_be_cut(
    unusual: peft.PeftModel, batch: tuple[Tensor, Tensor]
) -> None:
    assert_same_gradients(torch_smoothed, smoothed, unusual, batch, 1e-6)


@torch.no_grad()
def test_an_evaluation_is_not_smoothed(batch: tuple[Tensor, Tensor]) -> None:
    model = make("llama")
    assert smoothed(model, *batch).item() == summed_loss(model, *batch).item()


def test_losses_come_in_the_order_of_rows_and_positions(batch: tuple[Tensor, Tensor]) -> None:
    model, (ids, labels) = make("llama"), batch
    log_probabilities = model(input_ids=ids).logits.log_softmax(dim=-1)
    expected = [
        -log_probabilities[row, position - 1, ids[row, position]]
        for row in range(3)
        for position in range(1, 12)
        if labels[row, position] != IGNORED
    ]
    losses = token_losses(model, ids, labels)
    assert losses.dtype == torch.float32
    assert not losses.requires_grad
    torch.testing.assert_close(losses, torch.stack(expected))


def test_without_a_predicted_token_the_loss_is_zero_and_so_are_gradients(
    batch: tuple[Tensor, Tensor],
) -> None:
    model, ids = make("llama"), batch[0]
    nothing = torch.full_like(ids, IGNORED)
    nothing[:, 0] = 3  # never predicted
    assert token_losses(model, ids, nothing).shape == (0,)
    total = summed_loss(model, ids, nothing)
    total.backward()
    assert total.item() == 0
    assert all(one.grad is None or one.grad.norm() == 0 for one in model.parameters())


class Largest(TorchDispatchMode):
    """Records how many tokens' logits a tensor holds at once."""

    tokens = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.shape[-1:] == (VOCABULARY,):
            if result.shape == (32, VOCABULARY):  # the head's weights, transposed
                return result
            self.tokens = max(self.tokens, result.numel() // VOCABULARY)
        return result


@pytest.fixture
def frozen() -> peft.PeftModel:
    """Return a Llama with a frozen head: no gradient has the vocabulary's size."""
    return adapted(make("llama"), target_modules=["q_proj", "v_proj"])


def test_no_more_logits_than_a_chunk_are_ever_held(
    frozen: peft.PeftModel, batch: tuple[Tensor, Tensor]
) -> None:
    token_losses(frozen, *batch)  # tried out
    with Largest() as before:
        whole(frozen, *batch).backward()
    with Largest() as training:
        summed_loss(frozen, *batch).backward()
    with Largest() as of_preferences:
        weighted(frozen, *batch).backward()
    with Largest() as evaluation:
        token_losses(frozen, *batch)
    assert before.tokens == 36
    assert training.tokens == of_preferences.tokens == evaluation.tokens == CHUNK


class Fading(LlamaForCausalLM):
    """A model whose logits depend on the position in the row, which prevents chunks."""

    def forward(self, **inputs: Any) -> Any:
        output = super().forward(**inputs)
        places = torch.arange(output.logits.shape[1]) + 1
        output.logits = output.logits / places[:, None]
        return output


class OfOnePiece(LlamaForCausalLM):
    """A model without access to its backbone."""

    def get_decoder(self) -> nn.Module:
        return self


@pytest.fixture(params=[Fading, OfOnePiece])
def unusual(request: pytest.FixtureRequest) -> Iterator[peft.PeftModel]:
    torch.manual_seed(0)
    model = request.param(transformers.LlamaConfig(**SHAPE))
    with torch.no_grad():
        model.lm_head.weight *= 20
    return adapted(model, target_modules=["q_proj"])


def test_a_model_that_cannot_be_cut_is_taken_row_by_row(
    unusual: peft.PeftModel, batch: tuple[Tensor, Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert_same(unusual, batch)
    assert [record.getMessage() for record in caplog.records] == [
        f"{type(unusual.get_base_model()).__name__}: its logits are computed row by row"
    ]
    with Largest() as held:
        summed_loss(unusual, *batch).backward()
    assert held.tokens == 12


def test_trying_it_out_changes_neither_dropout_nor_random_numbers(
    batch: tuple[Tensor, Tensor],
) -> None:
    model = adapted(make("llama"), target_modules=["q_proj", "lm_head"], lora_dropout=0.5)
    model.train()
    model.get_base_model().model.layers[1].eval()
    modes = [module.training for module in model.modules()]
    torch.manual_seed(3)
    first = summed_loss(model, *batch)  # tries it out
    assert [module.training for module in model.modules()] == modes
    torch.manual_seed(3)
    assert summed_loss(model, *batch).item() == first.item()
    assert summed_loss(model, *batch).item() != first.item()


def test_the_model_is_itself_again_after_an_error(batch: tuple[Tensor, Tensor]) -> None:
    model, (ids, labels) = make("llama"), batch
    for _ in ("not tried out yet", "tried out"):
        with pytest.raises(IndexError):
            token_losses(model, ids + VOCABULARY, labels)
        assert "forward" not in vars(model.model)
        token_losses(model, ids, labels)
    own = model.model.forward
    model.model.forward = own  # as accelerate leaves it
    with pytest.raises(IndexError):
        token_losses(model, ids + VOCABULARY, labels)
    assert vars(model.model)["forward"] == own
    with Largest() as held:
        token_losses(model, ids, labels)
    assert held.tokens == CHUNK
