import logging
from collections.abc import Callable

import pytest
import torch

from ugro.config import Config, LoraConfig, adapter_of
from ugro.errors import UserError
from ugro.trial.model.adapter import adapted
from ugro.trial.model.base_models import BaseModel
from ugro.trial.model.random_llama import byte_tokenizer
from ugro.trial.model.target_modules import check_modules, expert_parameters

from ..small_models import small_model

Settings = Callable[..., Config]


def asked_for(settings: Settings, targets: list[str], *others: str) -> LoraConfig:
    config = settings("model=tiny", *others).lora
    config.target_modules = targets
    return config


def trained_names(kind: str, config: LoraConfig) -> set[str]:
    """Return the names within a layer that have an adapter."""
    with adapted(BaseModel(small_model(kind), byte_tokenizer()), config) as model:
        return {
            name.partition(".lora_")[0].rpartition("layers.0.")[2]
            for name, parameter in model.named_parameters()
            if parameter.requires_grad and "layers.0." in name
        }


@pytest.mark.parametrize(
    ("targets", "named", "kind"),
    [
        (["q_proj", "norm"], "norm", "LlamaRMSNorm"),
        (["self_attn"], "self_attn", "LlamaAttention"),
        (["model"], "model", "LlamaModel"),
    ],
)
def test_a_module_that_cannot_be_adapted_is_one_line_with_those_that_can(
    targets: list[str], named: str, kind: str, settings: Settings
) -> None:
    with pytest.raises(UserError) as error:
        check_modules(small_model("llama"), asked_for(settings, targets))
    line = str(error.value)
    assert line.startswith(f"lora.target_modules: '{named}' given, allowed: all-linear, or of ")
    assert "embed_tokens (Embedding)" in line
    assert "q_proj, up_proj, v_proj (Linear)" in line
    assert line.endswith(f"; {named} is of the kind {kind}")
    assert len(line.splitlines()) == 1


def test_conv1d_layers_and_embeddings_can_be_adapted(settings: Settings) -> None:
    check_modules(small_model("gpt2"), asked_for(settings, ["c_attn", "wte"]))
    with pytest.raises(UserError, match=r"c_attn, c_fc, c_proj \(Conv1D\).* LayerNorm$"):
        check_modules(small_model("gpt2"), asked_for(settings, ["ln_1"]))


@pytest.mark.parametrize("key", ["target_modules", "modules_to_save"])
def test_a_module_that_the_model_lacks_is_one_line(key: str, settings: Settings) -> None:
    config = settings("model=tiny").lora
    setattr(config, key, ["nonsense"])
    with pytest.raises(UserError, match=rf"^lora\.{key}: 'nonsense' given, .*q_proj"):
        check_modules(small_model("llama"), config)


@pytest.mark.parametrize(
    ("kind", "others"),
    [("mixtral", {"mlp.gate"}), ("qwen2moe", {"mlp.shared_expert_gate"})],
)
def test_all_linear_reaches_fused_experts(kind: str, others: set[str], settings: Settings) -> None:
    assert len(expert_parameters(small_model(kind))) == 4  # two layers, gate_up_proj and down_proj
    attention = {f"self_attn.{name}_proj" for name in "qkvo"}
    # Two parameters of one module: PEFT wraps the one around the other.
    experts = {"mlp.experts", "mlp.experts.base_layer"}
    assert trained_names(kind, settings("model=tiny").lora) >= attention | experts | others


def test_experts_may_be_named(settings: Settings) -> None:
    config = asked_for(settings, ["q_proj", "experts.down_proj"])
    assert trained_names("qwen2moe", config) == {"self_attn.q_proj", "mlp.experts"}
    config = asked_for(settings, ["shared_expert.down_proj"])
    assert trained_names("qwen2moe", config) == {"mlp.shared_expert.down_proj"}


@pytest.mark.parametrize(
    ("asked", "remedy"),
    [
        ("lora.dropout=0.1", "lora.dropout=0"),
        ("lora.use_dora=true", "lora.use_dora=false"),
        ("lora.init_lora_weights=pissa", "lora.init_lora_weights=true, false or gaussian"),
    ],
)
@pytest.mark.parametrize("kind", ["mixtral", "qwen2moe"])
def test_where_peft_cannot_adapt_experts_all_linear_says_so(
    kind: str, asked: str, remedy: str, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    frozen = sum(expert_parameters(small_model(kind)).values())
    with caplog.at_level(logging.WARNING, "ugro"):
        assert "mlp.experts" not in trained_names(kind, settings("model=tiny", asked).lora)
    (line,) = caplog.messages
    assert line == (
        f"lora.target_modules=all-linear leaves {frozen:,} parameters frozen "
        f"(mlp.experts.down_proj, mlp.experts.gate_up_proj); to adapt experts: {remedy}"
    )
    caplog.clear()
    trained_names(kind, settings("model=tiny").lora)
    assert caplog.messages == []


def test_named_experts_that_peft_cannot_adapt_are_refused(settings: Settings) -> None:
    config = asked_for(settings, ["experts.down_proj"], "lora.dropout=0.1")
    with pytest.raises(UserError, match=r"^lora\.dropout: 0\.1 given, allowed: 0, as lora\.target"):
        check_modules(small_model("qwen2moe"), config)


def test_one_half_of_a_fused_pair_is_one_line(settings: Settings) -> None:
    with pytest.raises(UserError, match=r"^lora\.target_modules: 'w1' given, .* w3 ") as error:
        check_modules(small_model("mixtral"), asked_for(settings, ["w1"]))
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("kind", "asked", "line"),
    [
        (
            "gpt2",
            ["lora.init_lora_weights=olora"],
            "lora.init_lora_weights: 'olora' given, .*Conv1D",
        ),
        ("llama", ["lora.init_lora_weights=orthogonal", "lora.r=3"], "lora.r: 3 given, .* even "),
        (
            "qwen2moe",
            ["lora.init_lora_weights=pissa_niter_2", "lora.r=4"],
            "lora.r: 4 given, allowed: 1 at most .* shared_expert_gate$",
        ),
    ],
)
def test_an_initialisation_that_would_fail_is_refused(
    kind: str, asked: list[str], line: str, settings: Settings
) -> None:
    with pytest.raises(UserError, match=f"^{line}"):
        check_modules(small_model(kind), settings("model=tiny", *asked).lora)


def test_the_check_touches_neither_the_model_nor_the_generator(settings: Settings) -> None:
    model = small_model("llama")
    before = {name: type(module) for name, module in model.named_modules()}
    torch.manual_seed(3)
    check_modules(model, asked_for(settings, ["q_proj", "embed_tokens"]))
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))
    assert before == {name: type(module) for name, module in model.named_modules()}


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (["lora.rank_pattern={query:4}"], "lora.rank_pattern: 'query' given, .*q_proj"),
        (["lora.alpha_pattern={query:4}"], "lora.alpha_pattern: 'query' given, .*q_proj"),
        (["lora.layers_to_transform=[0,7]"], "lora.layers_to_transform: 7 given, allowed: 0 to 1"),
        (["lora.target_parameters=[experts.x]"], "lora.target_modules: 'experts.x' given, "),
        (
            ["lora.rank_pattern={q_proj:3}", "lora.init_lora_weights=orthogonal"],
            "lora.rank_pattern",
        ),
    ],
)
def test_a_pattern_layer_or_parameter_that_the_model_lacks_is_refused(
    asked: list[str], line: str, settings: Settings
) -> None:
    with pytest.raises(UserError, match=f"^{line}"):
        check_modules(small_model("llama"), settings("model=tiny", *asked).lora)


@pytest.mark.parametrize("name", ["target_modules", "modules_to_save"])
def test_a_module_that_another_adapter_names_and_the_model_lacks_is_refused(
    name: str, settings: Settings
) -> None:
    config = settings("model=tiny", "adapter=vera").vera
    assert config is not None
    setattr(config, name, ["q_proj", "query"])
    with pytest.raises(UserError, match=rf"^vera\.{name}: 'query' given, allowed: .*q_proj"):
        check_modules(small_model("llama"), config)


def test_layers_and_parameters_choose_experts(settings: Settings) -> None:
    layer = settings("model=tiny", "lora.layers_to_transform=[0]").lora
    with adapted(BaseModel(small_model("qwen2moe"), byte_tokenizer()), layer) as model:
        trained = [name for name, one in model.named_parameters() if one.requires_grad]
    assert any("mlp.experts" in name for name in trained)
    assert not any("layers.1." in name for name in trained)
    named = asked_for(settings, ["q_proj"], "lora.target_parameters=[experts.down_proj]")
    assert trained_names("qwen2moe", named) == {"self_attn.q_proj", "mlp.experts"}


def test_an_adapter_that_is_a_linear_layer_itself_leaves_nothing_frozen(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    config = adapter_of(settings("model=tiny", "adapter=gralora"))
    with adapted(BaseModel(small_model("llama"), byte_tokenizer()), config):
        assert caplog.messages == []
