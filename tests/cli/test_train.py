"""Keys of adapters on the command line, checked before Hydra reads them."""

import pytest

from ugro.cli.train import refuse_keys_of_other_adapters

VERA = "error: vera.r: '8' given, allowed: adapter=vera, as it has no effect with adapter=lora"
LORA = "error: lora.r: '8' given, allowed: adapter=lora, as it has no effect with adapter=vera,oft"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["model=tiny", "vera.r=8"], VERA),
        (["-m", "vera.r=8", "adapter=lora"], VERA),
        (["-m", "adapter=vera,oft", "lora.r=8"], LORA.replace("vera,oft", "oft,vera")),
    ],
)
def test_a_key_of_an_adapter_that_is_not_chosen_is_one_line(
    arguments: list[str], line: str
) -> None:
    with pytest.raises(SystemExit) as left:
        refuse_keys_of_other_adapters(arguments)
    assert left.value.code == line


@pytest.mark.parametrize(
    "arguments",
    [
        ["lora.r=8"],
        ["adapter=vera", "vera.r=8"],
        ["-m", "adapter=choice(vera,lora)", "vera.r=8,16", "lora.r=8"],
        ["-m", "search_space=adapters", "vera.r=8,16"],
        ["experiment=mine", "vera.r=8"],
    ],
)
def test_other_keys_pass(arguments: list[str]) -> None:
    refuse_keys_of_other_adapters(arguments)
