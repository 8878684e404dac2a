import peft
import pytest
import torch
from torch import Tensor, nn

from ugro.trial.loss import summed_loss
from ugro.trial.model.onednn_linear import OneDnnLinear, use_onednn

from ..small_models import small_model

INPUTS = {
    "rows": torch.randn(33, 48),
    "a batch of rows": torch.randn(4, 7, 48),
    "a single row": torch.randn(1, 48),
    "no row": torch.randn(0, 48),
    "every other column": torch.randn(5, 96)[:, ::2],
    "rows and columns exchanged": torch.randn(48, 9).t(),
    "the same row many times": torch.randn(1, 48).expand(6, 48),
}


@pytest.fixture(autouse=True)
def on_cpu_with_onednn() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    use_onednn(model)
    if type(model[0]) is not OneDnnLinear:
        pytest.skip("torch has no oneDNN on this processor")


def pair(frozen: bool = True) -> tuple[nn.Linear, nn.Linear]:
    """Return a layer of torch in double precision, and the same layer with oneDNN in float32."""
    exact = nn.Linear(48, 20).double()
    layer = nn.Linear(48, 20)
    layer.load_state_dict(exact.state_dict())
    exact.load_state_dict(layer.state_dict())
    for one in (exact, layer):
        one.weight.requires_grad_(not frozen)
    use_onednn(layer)
    return exact, layer


def with_gradients(layer: nn.Linear, input: Tensor) -> list[Tensor]:
    input = input.to(layer.weight.dtype).requires_grad_()
    output = layer(input)
    output.square().sum().backward()
    trained = [one.grad for one in layer.parameters() if one.requires_grad]
    gradients = [input.grad, *trained]
    assert all(gradient is not None for gradient in gradients)
    return [output.detach(), *(gradient for gradient in gradients if gradient is not None)]


@pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "trained"])
@pytest.mark.parametrize("name", INPUTS)
def test_products_and_gradients_are_those_in_double_precision(name: str, frozen: bool) -> None:
    exact, layer = pair(frozen)
    wanted, found = (with_gradients(one, INPUTS[name].clone()) for one in (exact, layer))
    assert len(found) == (3 if frozen else 4)  # with the input's and the bias's
    for one, other in zip(wanted, found, strict=True):
        torch.testing.assert_close(other.double(), one, rtol=1e-5, atol=1e-5)


def test_a_printed_model_looks_as_before() -> None:
    model = nn.Sequential(nn.Linear(3, 2))
    before = str(model)
    use_onednn(model)
    assert str(model) == before


def test_other_dtypes_are_left_to_torch() -> None:
    _, layer = pair()
    assert layer.bfloat16()(torch.randn(3, 48).bfloat16()).dtype is torch.bfloat16
    layer.float()
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.randn(3, 48)).dtype is torch.bfloat16


def test_a_frozen_weight_keeps_no_input_for_the_backward_pass() -> None:
    _, layer = pair()
    kept: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        layer(torch.randn(3, 48, requires_grad=True))
    assert [tensor.data_ptr() for tensor in kept] == [layer.weight.data_ptr()]


@pytest.mark.parametrize("kind", ["llama", "qwen2", "mixtral"])
def test_an_adapter_gets_the_same_loss_and_gradients(kind: str) -> None:
    ids = torch.randint(0, 200, (3, 20), generator=torch.Generator().manual_seed(0))
    results: list[dict[str, Tensor]] = []
    for with_onednn in (False, True):
        base = small_model(kind)
        if with_onednn:
            use_onednn(base)
            assert any(isinstance(module, OneDnnLinear) for module in base.modules())
        torch.manual_seed(0)
        adapter = peft.LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
        model = peft.get_peft_model(base, adapter)
        loss = summed_loss(model, ids, ids)
        loss.backward()
        trained = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        results.append({"loss": loss.detach(), **trained})
    torch_only, onednn = results
    assert torch_only.keys() == onednn.keys()
    assert len(onednn) > 10
    for name, value in torch_only.items():
        torch.testing.assert_close(onednn[name], value, rtol=1e-4, atol=1e-5)


def test_an_adapter_adds_to_the_output_in_place() -> None:  # as AdaLoRA does
    _, layer = pair()
    rows = torch.randn(4, 7, 48)
    added = torch.ones(20, requires_grad=True)
    output = layer(rows)
    output += added
    output.sum().backward()
    assert added.grad is not None
    assert added.grad.tolist() == [28.0] * 20
