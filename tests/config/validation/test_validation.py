from collections.abc import Callable
from copy import deepcopy
from functools import cache

import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from ugro.config import Config, typed
from ugro.config.validation.validation import validate
from ugro.errors import UserError

Settings = Callable[..., Config]

LINEAR = "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj"
MODULES = f"all-linear, or a list of {LINEAR}"
NAMES = "true, false, gaussian, orthogonal, olora, pissa, eva, pissa_niter_N"

STREAMED = (
    "data=jsonl data.streaming=true data.train_files=[a] data.eval_files=[b] data.test_fraction=0 "
    "training.max_tokens=1000"
)


@pytest.fixture(scope="module")
def settings(composed: Callable[..., DictConfig]) -> Settings:
    """As everywhere, but groups are composed once: what is set over them is merged in."""
    groups = cache(lambda *choices: composed("study.name=test", *choices))

    def _settings(*overrides: str) -> Config:
        choices = [line for line in overrides if "." not in line.partition("=")[0]]
        values = [line for line in overrides if line not in choices]
        return typed(OmegaConf.merge(groups(*choices), OmegaConf.from_dotlist(values)))

    return _settings


def faults(config: Config) -> list[str]:
    with pytest.raises(UserError) as told:
        validate(config)
    return str(told.value).splitlines()


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ("lora.r=0 lora.alpha=16", "lora.r: 0 given, allowed: 1 or more"),
        ("lora.alpha=0", "lora.alpha: 0.0 given, allowed: above 0"),
        ("lora.dropout=1.5", "lora.dropout: 1.5 given, allowed: 0 or more, below 1"),
        ("lora.dropout=1.0", "lora.dropout: 1.0 given, allowed: 0 or more, below 1"),
        ("lora.dropout=-0.1", "lora.dropout: -0.1 given, allowed: 0 or more, below 1"),
        ("lora.target_modules=linear", f"lora.target_modules: 'linear' given, allowed: {MODULES}"),
        ("lora.target_modules=[]", f"lora.target_modules: [] given, allowed: {MODULES}"),
        ("lora.target_modules=7", f"lora.target_modules: 7 given, allowed: {MODULES}"),
        (
            "lora.target_modules=[q_proj,query,c_attn]",
            f"lora.target_modules: 'query,c_attn' given, allowed: {MODULES}",
        ),
        ("lora.init_lora_weights=zero", f"lora.init_lora_weights: 'zero' given, allowed: {NAMES}"),
        (
            "lora.init_lora_weights=pissa_niter_x",
            f"lora.init_lora_weights: 'pissa_niter_x' given, allowed: {NAMES}",
        ),
        ("lora.init_lora_weights=1", f"lora.init_lora_weights: 1 given, allowed: {NAMES}"),
        ("training.batch_size=0", "training.batch_size: 0 given, allowed: 1 or more"),
        (
            "training.gradient_accumulation_steps=-1",
            "training.gradient_accumulation_steps: -1 given, allowed: 1 or more",
        ),
        ("training.eval_batch_size=0", "training.eval_batch_size: 0 given, allowed: 1 or more"),
        ("training.max_tokens=0", "training.max_tokens: 0 given, allowed: 1 or more"),
        (
            "training.early_stopping_patience=0",
            "training.early_stopping_patience: 0 given, allowed: 1 or more",
        ),
        ("training.learning_rate=0", "training.learning_rate: 0.0 given, allowed: above 0"),
        ("training.learning_rate=nan", "training.learning_rate: nan given, allowed: above 0"),
        ("training.max_grad_norm=0", "training.max_grad_norm: 0.0 given, allowed: above 0"),
        ("training.epochs=0", "training.epochs: 0.0 given, allowed: above 0"),
        (
            "training.epochs=null",
            "training.epochs: None given, allowed: a number, or set max_steps or max_tokens",
        ),
        (
            "training.warmup_ratio=1",
            "training.warmup_ratio: 1.0 given, allowed: 0 or more, below 1",
        ),
        ("training.weight_decay=-1", "training.weight_decay: -1.0 given, allowed: 0 or more"),
        (
            "training.optim=adamw_torch_fusd",
            "training.optim: 'adamw_torch_fusd' given, allowed: nearest: adamw_torch_fused, "
            "adamw_torch_npu_fused, adamw_torch",
        ),
        (
            "training.optim=lomo",
            "training.optim: 'lomo' given, allowed: one that accumulates and clips gradients",
        ),
        (
            "training.optim=galore_adamw",
            "training.optim: 'galore_adamw' given, allowed: one whose state is part of "
            "checkpoints, as trials are resumed",
        ),
        ("training.adam_beta1=1", "training.adam_beta1: 1.0 given, allowed: 0 or more, below 1"),
        ("training.adam_beta2=-1", "training.adam_beta2: -1.0 given, allowed: 0 or more, below 1"),
        ("training.adam_epsilon=0", "training.adam_epsilon: 0.0 given, allowed: above 0"),
        (
            "training.label_smoothing=1",
            "training.label_smoothing: 1.0 given, allowed: 0 or more, below 1",
        ),
        (
            "task=dpo data=jsonl data.train_files=[a] training.label_smoothing=0.1",
            "training.label_smoothing: 0.1 given, allowed: 0 with task=dpo, whose loss has no "
            "labels",
        ),
        (
            "training.neftune_noise_alpha=0",
            "training.neftune_noise_alpha: 0.0 given, allowed: above 0",
        ),
        (
            "training.lr_scheduler_kwargs.cycles=2",
            "training.lr_scheduler_kwargs: 'cycles' given, allowed: num_cycles, with "
            "training.lr_scheduler_type=cosine",
        ),
        (
            "training.lr_scheduler_type=constant training.lr_scheduler_kwargs.num_cycles=2",
            "training.lr_scheduler_kwargs: 'num_cycles' given, allowed: none, with "
            "training.lr_scheduler_type=constant",
        ),
        (
            "training.lr_scheduler_type=warmup_stable_decay",
            "training.lr_scheduler_kwargs: {} given, allowed: with a value of num_decay_steps, "
            "with training.lr_scheduler_type=warmup_stable_decay",
        ),
        (
            "training.lr_scheduler_type=cosine_with_min_lr",
            "training.lr_scheduler_kwargs: {} given, allowed: with one of min_lr and min_lr_rate, "
            "with training.lr_scheduler_type=cosine_with_min_lr",
        ),
        ("training.eval_steps=0", "training.eval_steps: 0.0 given, allowed: above 0"),
        (
            "training.eval_steps=2.5",
            "training.eval_steps: 2.5 given, allowed: a whole number, or below 1",
        ),
        (
            "training.max_steps=4 training.eval_steps=5",
            "training.eval_steps: 5.0 given, allowed: training.max_steps=4 at most",
        ),
        ("data.block_size=1", "data.block_size: 1 given, allowed: 2 or more"),
        ("model=tiny data.block_size=2049", "data.block_size: 2049 given, allowed: 2048 at most"),
        ("data.eval_block_size=1", "data.eval_block_size: 1 given, allowed: 2 or more"),
        (
            "model=tiny data.eval_block_size=2049",
            "data.eval_block_size: 2049 given, allowed: 2048 at most",
        ),
        ("data.max_train_examples=0", "data.max_train_examples: 0 given, allowed: 1 or more"),
        ("data.max_eval_examples=0", "data.max_eval_examples: 0 given, allowed: 1 or more"),
        ("data.max_test_examples=0", "data.max_test_examples: 0 given, allowed: 1 or more"),
        (
            "data.max_train_blocks=64",
            "data.max_train_blocks: 64 given, allowed: its new name, data.max_train_examples",
        ),
        (
            "data.max_eval_blocks=8",
            "data.max_eval_blocks: 8 given, allowed: its new name, data.max_eval_examples",
        ),
        ("data.test_fraction=-0.1", "data.test_fraction: -0.1 given, allowed: 0 or more, below 1"),
        ("data.test_fraction=1", "data.test_fraction: 1.0 given, allowed: 0 or more, below 1"),
        (
            "data.eval_fraction=0.5 data.test_fraction=0.5",
            "data.eval_fraction + data.test_fraction: 1.0 given, allowed: below 1",
        ),
        ("data.eval_fraction=0", "data.eval_fraction: 0.0 given, allowed: above 0, below 1"),
        ("data.eval_fraction=1", "data.eval_fraction: 1.0 given, allowed: above 0, below 1"),
        (
            "data.group_by=user",
            "data.group_by: 'user' given, allowed: none: data=pydocs has no columns",
        ),
        ("data.source=hub", "data.path: None given, allowed: a hub id or a folder"),
        ("data=text", "data.train_files: [] given, allowed: a list of paths or globs"),
        ("data=jsonl", "data.train_files: [] given, allowed: a list of paths or globs"),
        ("data=parquet", "data.train_files: [] given, allowed: a list of paths or globs"),
        ("data=arrow", "data.path: None given, allowed: a hub id or a folder"),
        (
            "data=hub data.path=a data.eval_files=[b.csv]",
            "data.eval_files: ['b.csv'] given, allowed: none, as the data set has splits: "
            "data.eval_split",
        ),
        (
            "data=csv data.train_files=[a.csv] data.eval_split=dev",
            "data.eval_split: 'dev' given, allowed: null, as the data are files: data.eval_files",
        ),
        (
            "data.columns.prompt=question",
            "data.columns.prompt: 'question' given, allowed: none: data=pydocs has no columns",
        ),
        (
            "data=hub data.path=a data.columns.text=body data.columns.prompt=question",
            "data.columns: 'text, prompt' given, allowed: those of one format: text; prompt and "
            "completion; or messages",
        ),
        (
            "data=hub data.path=a data.columns.prompt=question data.prompt='{question}'",
            "data.prompt: '{question}' given, allowed: null, or data.columns instead, which names "
            "question",
        ),
        (
            "data=hub data.path=a data.prompt='{}'",
            "data.prompt: '{}' given, allowed: text with columns in braces, {question} (braces "
            "without the name of a column)",
        ),
        (
            "data=hub data.path=a data.completion='{answer'",
            "data.completion: '{answer' given, allowed: text with columns in braces, {question} "
            "(expected '}' before end of string)",
        ),
        ("model=local", "model.path: None given, allowed: a hub id or a folder"),
        (
            "task=dpo data=jsonl data.train_files=[a] task.beta=0",
            "task.beta: 0.0 given, allowed: above 0",
        ),
        ("task.beta=0.1", "task.beta: 0.1 given, allowed: null, or task=dpo"),
        (
            "task.labels=[a,b]",
            "task.labels: ['a', 'b'] given, allowed: none, or task=classification",
        ),
        (
            "task=classification data=csv data.train_files=[a] task.labels=[a,a]",
            "task.labels: ['a', 'a'] given, allowed: two or more labels, each once",
        ),
        (
            "task=classification data=csv data.train_files=[a] data.packing=bfd",
            "data.packing: 'bfd' given, allowed: none, with task=classification",
        ),
        (
            "task=dpo data=jsonl data.train_files=[a] data.packing=wrapped",
            "data.packing: 'wrapped' given, allowed: bfd or none, with task=dpo",
        ),
        (
            "task=dpo data=jsonl data.train_files=[a] data.columns.label=b",
            "data.columns.label: 'b' given, allowed: null, as task=dpo has no such column",
        ),
        (
            "task=dpo data=text data.train_files=[a] data.packing=bfd",
            "data.source: 'text' given, allowed: records, as task=dpo learns from their columns: "
            "csv, jsonl",
        ),
        (
            "task=classification data=csv data.train_files=[a] metrics=exact_match "
            "objectives.metrics.eval_accuracy.weight=1",
            "metrics.exact_match.on: 'generations' given, allowed: tokens, as a classifier "
            "generates nothing",
        ),
        (
            "task=classification data=csv data.train_files=[a] "
            "metrics.f1.function=ugro.metrics.functions.token_accuracy metrics.f1.on=tokens",
            "metrics: 'f1' given, allowed: a name that no value of task=classification has",
        ),
        (
            f"{STREAMED} training.max_tokens=null",
            "training: {'max_tokens': None, 'max_steps': None} given, allowed: max_tokens alone, "
            "with data.streaming: it is read so far",
        ),
        (
            f"{STREAMED} data.deduplicate=true",
            "data.deduplicate: True given, allowed: false, with data.streaming",
        ),
        (
            f"{STREAMED} data.test_fraction=0.1",
            "data.streaming: needs data.test_files or data.test_fraction=0, as a stream is not "
            "split",
        ),
        (
            f"{STREAMED} data.eval_files=[]",
            "data.streaming: needs data.eval_files, as a stream is not split",
        ),
        (
            f"{STREAMED} data.source=json",
            "data.streaming: True given, allowed: false, or a source that is read record by "
            "record: jsonl, csv, parquet, hub, arrow",
        ),
        (
            "model.gguf_file=null",
            "model.gguf_file: None given, allowed: the file's name inside the package",
        ),
    ],
)
def test_an_impossible_value_is_one_line_of_key_given_and_allowed(
    overrides: str, line: str, settings: Settings
) -> None:
    assert faults(settings(*overrides.split())) == [line]


@pytest.mark.parametrize(
    "overrides",
    [
        "lora.r=1",
        "lora.dropout=0",
        "lora.target_modules=[down_proj]",
        "lora.target_modules=[layers.0.self_attn.q_proj]",  # a single layer
        "model=local model.path=somewhere lora.target_modules=[c_attn]",  # not known beforehand
        "lora.init_lora_weights=false",
        "lora.init_lora_weights=orthogonal",
        "lora.init_lora_weights=pissa_niter_16",
        "training.weight_decay=0",
        "training.warmup_ratio=0",
        "training.epochs=null training.max_tokens=1000",
        "training.epochs=null training.max_steps=4 training.eval_steps=4",
        "training.eval_steps=1",
        "data.block_size=2",
        "model=tiny data.block_size=2048",
        "data.source=hub data.path=somewhere",
        "data=hub data.path=a data.columns.prompt=question data.columns.completion=answer",
        "data=hub data.path=a data.prompt='{question[0]}' data.columns.completion=answer",
        "data=hub data.path=a data.columns.messages=turns data.columns.tools=functions",
        "task=dpo data=hub data.path=a data.columns.chosen=good data.columns.rejected=bad",
        "task=classification data=hub data.path=a data.prompt='{a}-{b}' data.columns.label=c",
        "task=classification data=hub data.path=a metrics=token_accuracy",
        STREAMED,
    ],
)
def test_a_value_at_the_edge_of_what_is_allowed_passes(overrides: str, settings: Settings) -> None:
    validate(settings(*overrides.split()))


def test_all_faults_are_told_together_in_the_order_of_the_groups(settings: Settings) -> None:
    config = settings("model=local", "data=text", "training.batch_size=0", "lora.dropout=2")
    assert [line.partition(":")[0] for line in faults(config)] == [
        "lora.dropout",
        "training.batch_size",
        "data.train_files",
        "model.path",
    ]


@pytest.mark.parametrize("overrides", [[], ["lora.dropout=2", "training.epochs=null"]])
def test_validation_changes_nothing(overrides: list[str], settings: Settings) -> None:
    config = settings(*overrides)
    before = deepcopy(config)
    if overrides:
        faults(config)
    else:
        validate(config)
    assert config == before


@property_settings(deadline=None, derandomize=True, max_examples=50)
@given(share=st.floats(allow_nan=True, allow_infinity=True))
def test_a_share_is_refused_unless_it_lies_from_0_to_below_1(
    share: float, settings: Settings
) -> None:
    config = settings()  # a new one each time
    config.lora.dropout = share
    if 0 <= share < 1:
        validate(config)
    else:
        assert faults(config) == [f"lora.dropout: {share!r} given, allowed: 0 or more, below 1"]


NAME = "100 letters, digits and . _ - + = @ at most, the first a letter or a digit"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../up",
        "/root",
        "a/b",
        "..",
        ".hidden",
        "-m",
        "a b",
        "a\nb",
        "a'b",
        "<i>",
        "=1+1",
        "a" * 101,
    ],
)
def test_a_studys_name_leads_nowhere(settings: Settings, name: str) -> None:
    config = deepcopy(settings())
    config.study.name = name
    with pytest.raises(UserError) as refused:
        validate(config)
    assert str(refused.value) == f"study.name: {name!r} given, allowed: {NAME}"


@pytest.mark.parametrize(
    "name", ["2026-11-25_02-53-40", "007", "mine+r=8", "Größe.v2", "s/confirm"]
)
def test_a_studys_name_may_say_much(settings: Settings, name: str) -> None:
    config = deepcopy(settings())
    config.study.name = name
    validate(config)
