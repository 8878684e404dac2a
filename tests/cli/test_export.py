"""Trials of a real study, exported as a user does, and loaded as their cards say."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from string import ascii_letters

import peft
import pytest
import torch
import yaml
from omegaconf import OmegaConf
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from ugro.analysis.model_card.loading import NEW_TOKENS, PROMPT
from ugro.cli.export import is_plain_lora, main
from ugro.cli.rerun import configuration_of
from ugro.cli.study_lookup import find_study
from ugro.cli.trained_trial import trained_trial
from ugro.config import Config, RandomLlamaConfig
from ugro.errors import UserError
from ugro.trial.export.weights import logits
from ugro.trial.model import base_models
from ugro.trial.model.random_llama import byte_tokenizer, random_llama
from ugro.trial.side_by_side import answers_of_trial

from ..conftest import ROOT
from .conftest import best_of, refusal

CONVERTER = ROOT / "tests" / "trial" / "export" / "convert_hf_to_gguf.py"
IDS = torch.arange(64).reshape(2, 32) * 7 % 256


def expected(folder: Path) -> torch.Tensor:
    """The logits of the best trial's adapter on its base model."""
    trial = best_of(folder)
    base = base_models.load(
        configuration_of(trial).model, torch.float32, folder, torch.device("cpu")
    )
    return logits(peft.PeftModel.from_pretrained(base.model, trial / "adapter"), IDS)


def card_of(folder: Path) -> tuple[dict[str, object], str]:
    """The front matter of a card, and its text."""
    _, front, text = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(front), text


def run_snippet(folder: Path, where: Path) -> str:
    """What the card's program prints."""
    snippets = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert len(snippets) == 1
    command = [sys.executable, "-c", snippets[0]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        command, cwd=where, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_best_trial_is_exported_merged_with_a_card(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["study.name=mine", "to=out", "format=merged", "dtype=fp32"])
    said = capsys.readouterr().out
    assert "Its weights in fp32, computed in fp32, give logits that differ by at most " in said
    assert "README.md says how to use it" in said
    found = logits(AutoModelForCausalLM.from_pretrained("out"), IDS)
    torch.testing.assert_close(found, expected(here), atol=1e-4, rtol=0)
    front, text = card_of(Path("out"))
    assert front == {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["lora", "ugro"],
    }
    number = int(best_of(here).name)
    summary = json.loads(Path("multirun/mine/analysis/summary.json").read_text())
    assert f"Trial {number} of the study `mine`" in text
    assert "On the test part (" in text
    assert f"a gain of {summary['test']['gain']:.4g}" in text.replace(",", "")
    assert "- On the evaluation part: eval_loss " in text
    assert "chosen by it, so it is somewhat optimistic" in text
    assert text.index("On the test part") < text.index("On the evaluation part")
    provenance = json.loads((best_of(here) / "provenance.json").read_text())
    assert provenance["train_data"] in text
    assert "| `training.learning_rate` | 0.01, 0.03 | " in text
    assert "training.learning_rate=0.0" in text.split("## How it was made")[1]
    assert "## Cost of the search\n\n2 trials, " in text
    assert not list(here.glob(".*draft"))
    assert run_snippet(Path("out"), here).strip("\n") != ""


def test_an_adapter_is_loaded_as_its_card_says(here: Path) -> None:
    main(["study.name=mine", "to=out"])
    base = base_models.load(
        configuration_of(best_of(here)).model,
        torch.float32,
        here,
        torch.device("cpu"),
    )
    found = logits(peft.PeftModel.from_pretrained(base.model, "out"), IDS)
    assert torch.equal(found, expected(here))
    front, text = card_of(Path("out"))
    assert front["library_name"] == "peft"
    assert "use `ugro export study.name=mine trial=" in text
    run_snippet(Path("out"), here)


def test_a_gguf_file_is_loaded_as_its_card_says(here: Path) -> None:
    main(["study.name=mine", "to=out", "format=gguf", f"converter={CONVERTER}"])
    assert {path.name for path in Path("out").iterdir()} == {"out-bf16.gguf", "README.md"}
    front, text = card_of(Path("out"))
    assert front["tags"] == ["lora", "ugro", "gguf"]
    assert "Its weights in bf16, computed in fp32, give logits that differ by at most " in text
    run_snippet(Path("out"), here)


def test_another_trial_says_that_it_is_not_the_best(here: Path) -> None:
    other = 1 - int(best_of(here).name)
    Path("out").mkdir()  # an empty folder is taken
    main(["study.name=mine", f"trial={other}", "to=out"])
    _, text = card_of(Path("out"))
    assert f"It is not the best trial of its study, which is trial {1 - other}." in text
    assert "chosen by it" not in text


def test_a_conversation_is_asked_for_with_the_template(here: Path) -> None:
    Path("rows.jsonl").unlink()  # the trial wrote down what it was trained on
    path = best_of(here) / "provenance.json"
    provenance = json.loads(path.read_text())
    data = {**json.loads(provenance["data"]), "conversations": True}
    path.write_text(json.dumps({**provenance, "data": json.dumps(data)}))
    main(["study.name=mine", "to=out", "format=merged"])
    assert "tokenizer.apply_chat_template(" in card_of(Path("out"))[1]
    run_snippet(Path("out"), here)


@pytest.fixture
def on_a_plain_base(here: Path) -> Config:
    """The best trial as one of conversations, on a base model that never had a chat template.

    The template ends a turn with a token at which the base model's generation config does not stop,
    and which the trial generates.
    """
    trial = best_of(here)
    path = trial / ".hydra" / "config.yaml"
    config = OmegaConf.load(path)
    shape = RandomLlamaConfig(**config.model.random_llama)
    base = random_llama(shape, byte_tokenizer())
    base.lm_head.weight.data *= 5  # so that its answers have many different tokens
    base.save_pretrained("base")
    weights = trial / "adapter" / SAFETENSORS_WEIGHTS_NAME
    weak = {name: tensor / 10 for name, tensor in load_file(weights).items()}
    save_file(weak, weights, metadata={"format": "pt"})  # else it repeats a single token
    adapted = peft.PeftModel.from_pretrained(base, trial / "adapter").eval()
    stop = _generated_stop(adapted)
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": [stop]})
    tokenizer.chat_template = None
    tokenizer.save_pretrained("base")
    Path("template.jinja").write_text(_template(stop))
    config.model.random_llama, config.model.path = None, "base"
    config.data.chat_template = "template.jinja"
    OmegaConf.save(config, path)
    provenance = json.loads((trial / "provenance.json").read_text())
    data = {**json.loads(provenance["data"]), "conversations": True}
    known = {**provenance, "data": json.dumps(data)}
    (trial / "provenance.json").write_text(json.dumps(known))
    return configuration_of(trial)


def _template(stop: str) -> str:
    return f"{{% for m in messages %}}{{{{ m['content'] }}}}{stop}{{% endfor %}}"


def _generated_stop(model: peft.PeftModel) -> str:
    """Return a letter that is generated after a few other tokens if it ends the prompt."""
    tokenizer = byte_tokenizer()
    ids = tokenizer([PROMPT + letter for letter in ascii_letters], return_tensors="pt").input_ids
    made = model.generate(input_ids=ids, max_new_tokens=NEW_TOKENS, do_sample=False)
    for letter, answer in zip(ascii_letters, made[:, ids.shape[1] :], strict=True):
        tokens = tokenizer.convert_ids_to_tokens(answer)
        if letter in tokens and 1 < tokens.index(letter) < NEW_TOKENS / 2:
            return letter
    raise AssertionError("no letter")


@pytest.mark.parametrize("form", ["adapter", "merged", "gguf"])
def test_the_cards_program_stops_where_the_trial_stops(
    form: str, here: Path, on_a_plain_base: Config
) -> None:
    converter = [f"converter={CONVERTER}"] if form == "gguf" else []
    main(["study.name=mine", "to=out", f"format={form}", "dtype=fp32", *converter])
    trial = best_of(here)
    _, [answer] = answers_of_trial(
        on_a_plain_base, trial, True, (), [PROMPT], NEW_TOKENS, with_base=False
    )
    assert run_snippet(Path("out"), here) == f"{answer}\n"
    assert 1 < len(answer) < NEW_TOKENS / 2
    assert ("a server needs them as stop tokens" in card_of(Path("out"))[1]) == (form != "merged")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "to: None given, allowed: a folder that is new or empty"),
        (["to=multirun"], "to: 'multirun' given, allowed: a folder that is new or empty"),
        (["to=rows.jsonl"], "to: 'rows.jsonl' given, allowed: a folder that is new or empty"),
        (["to=out", "trial=7"], "trial: '7' given, allowed: the number of one of the 2 trials of "),
        (["to=out", "format=onnx"], "format: 'onnx' given, allowed: adapter, merged, gguf"),
        (["to=out", "dtype=int4"], "dtype: 'int4' given, allowed: fp32, bf16, fp16"),
        (["to=out", "format=gguf"], "converter: None given, allowed: llama.cpp's convert_hf_to_"),
        (["to=out", "converter=x.py"], "converter: 'x.py' given, allowed: only format=gguf"),
        (
            ["to=out", "format=gguf", "converter=x.py"],
            "converter: 'x.py' given, allowed: a file, llama.cpp's convert_hf_to_gguf.py",
        ),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], line: str, swept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(swept)
    told = refusal(main, *arguments)
    assert told.startswith(line)
    assert "\n" not in told
    assert not Path("out").exists()


def test_a_trial_without_adapter_is_refused(here: Path) -> None:
    shutil.rmtree(best_of(here) / "adapter")
    number = int(best_of(here).name)
    refused = rf"^trial: {number} given, allowed: a trial that has an adapter, multirun/mine/trials"
    with pytest.raises(UserError, match=refused):
        main(["study.name=mine", "to=out"])
    assert not Path("out").exists()


def test_the_base_model_is_that_of_the_trial_even_if_its_branch_has_moved(here: Path) -> None:
    path = best_of(here) / "provenance.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "base_model_commit": "abc"}))
    trained = trained_trial(find_study({"study.name": "mine"}), None)
    assert trained.config.model.revision == "abc"


def test_an_adapter_that_vllm_refuses_says_so(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = best_of(here) / ".hydra" / "config.yaml"
    path.write_text(path.read_text().replace("use_dora: false", "use_dora: true"))
    main(["study.name=mine", "to=out"])
    assert "To serve it, export with format=merged." in capsys.readouterr().out
    assert "To serve it, export with format=merged." in card_of(Path("out"))[1]


def test_a_failed_conversion_leaves_its_log_and_nothing_else(here: Path) -> None:
    converter = here / "fails.py"
    converter.write_text("raise SystemExit('no such model')")
    before = set(here.iterdir())
    with pytest.raises(UserError, match=r"failed \(exit code 1\): see out.log$"):
        main(["study.name=mine", "to=out", "format=gguf", f"converter={converter}"])
    assert set(here.iterdir()) - before == {here / "out.log"}
    assert Path("out.log").read_text() == "no such model\n"


def test_the_tokenizer_of_an_export_is_the_base_models(here: Path) -> None:
    main(["study.name=mine", "to=out"])
    tokenizer = AutoTokenizer.from_pretrained("out")
    assert tokenizer.chat_template == byte_tokenizer().chat_template
    assert tokenizer("x")["input_ids"] == byte_tokenizer()("x")["input_ids"]


@pytest.mark.parametrize(
    ("asked", "plain"),
    [
        ([], True),
        (["lora.rank_pattern={q_proj:2}"], True),
        (["lora.use_dora=true"], False),
        (["lora.bias=all"], False),
        (["adapter=vera"], False),
    ],
)
def test_servers_of_lora_load_its_matrices_only(
    asked: list[str], plain: bool, settings: Callable[..., Config]
) -> None:
    assert is_plain_lora(settings("model=tiny", *asked)) is plain
