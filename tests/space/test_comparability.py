from collections.abc import Callable

import pytest

from ugro.config import Config
from ugro.errors import UserError
from ugro.space.comparability import check_comparable, data_by_search

Settings = Callable[..., Config]
RECORDS = ("data=jsonl", "data.train_files=[a.jsonl]")


@pytest.mark.parametrize(
    "key",
    [
        "data",
        "data.source",
        "data.path",
        "data.subset",
        "data.train_split",
        "data.eval_split",
        "data.columns.text",
        "data.join_rows",
        "data.train_files",
        "data.eval_files",
        "data.eval_fraction",
        "data.split_seed",
        "data.max_eval_blocks",
        "data.eval_block_size",
        "+data.eval_fraction",
    ],
)
def test_trials_on_different_text_are_refused(key: str, settings: Settings) -> None:
    with pytest.raises(UserError) as error:
        check_comparable(["lora.r", key], settings(*RECORDS))
    assert str(error.value) == (
        f"{key.lstrip('+')}: 'a sweep' given, allowed: one value, as trials on different text "
        "cannot be ranked; use a study for each"
    )


def test_block_sizes_of_running_text_need_one_row_length_of_evaluation(settings: Settings) -> None:
    with pytest.raises(UserError, match=r"^data\.block_size: .* or set data\.eval_block_size"):
        check_comparable(["data.block_size"], settings())
    check_comparable(["data.block_size"], settings("data.eval_block_size=64"))
    joined = settings("data=wikitext2")
    with pytest.raises(UserError, match=r"^data\.block_size: "):
        check_comparable(["data.block_size"], joined)
    check_comparable(["data.block_size"], settings("data=hub", "data.path=somewhere"))
    check_comparable(["data.block_size"], settings(*RECORDS))


@pytest.mark.parametrize("key", ["model", "model.path", "model.revision", "model.gguf_file"])
@pytest.mark.parametrize("objectives", ["loss", "loss_memory"])
def test_models_are_not_compared_by_their_loss(
    key: str, objectives: str, settings: Settings
) -> None:
    with pytest.raises(UserError) as error:
        check_comparable([key], settings(f"objectives={objectives}"))
    assert str(error.value) == (
        f"{key}: 'a sweep' given, allowed: one value, as eval_loss counts tokens and each "
        "tokenizer splits text differently; objectives=bits_per_byte compares models"
    )
    check_comparable([key], settings("objectives=bits_per_byte"))


@pytest.mark.parametrize(
    ("key", "given", "reason"),
    [
        ("model", ["objectives.metrics={a_loss: {}}"], "one value, as a_loss counts tokens"),
        ("task.beta", ["task=dpo", "objectives.metrics={a_loss: {}}"], "one value, as a_loss dep"),
        ("model", ["task=dpo"], "one value, as eval_loss is relative to each base model"),
        ("data.block_size", [], "one value, as running text is evaluated row by row"),
    ],
)
def test_values_of_sets_are_compared_as_those_of_the_evaluation_part(
    key: str, given: list[str], reason: str, settings: Settings
) -> None:
    text = "data.eval_sets={a: {source: text, eval_files: [b.txt]}}"
    with pytest.raises(UserError, match=reason):
        check_comparable([key], settings(*RECORDS, text, *given))


def test_classifiers_of_several_models_are_compared_by_their_loss(settings: Settings) -> None:
    check_comparable(["model"], settings("task=classification", *RECORDS))


PAIRS = ("task=dpo", "data=jsonl", "data.train_files=[a]")


def test_betas_are_compared_by_what_does_not_depend_on_them(
    settings: Callable[..., Config],
) -> None:
    with pytest.raises(UserError, match=r"beta: 'a sweep' given, allowed: one value, as eval_"):
        check_comparable(["task.beta"], settings(*PAIRS))
    check_comparable(["task.beta"], settings(*PAIRS, "objectives=reward_accuracy"))


@pytest.mark.parametrize("key", ["task", "task.name", "task.labels"])
def test_a_study_has_one_task(key: str, settings: Callable[..., Config]) -> None:
    with pytest.raises(UserError, match=f"{key}: 'a sweep' given, allowed: one value; use a study"):
        check_comparable([key], settings(*PAIRS))


def test_a_study_has_liger_kernels_or_has_none(settings: Settings) -> None:
    with pytest.raises(
        UserError, match=r"^model\.liger_kernel: 'a sweep' .* as the kernels remain"
    ):
        check_comparable(["model.liger_kernel"], settings("objectives=bits_per_byte"))


def test_keys_of_training_only_may_be_searched(settings: Settings) -> None:
    training = ["seed", "lora.r", "training.batch_size", "data.max_train_examples"]
    check_comparable(
        [*training, "model.random_llama.seed", "model.attn_implementation"], settings("model=tiny")
    )


TOLD = {"train_data": "a", "eval_data": "b", "test_data": "c", "torch": "2.13"}


def test_trials_with_the_same_data_keys_share_fingerprints() -> None:
    def named(**searched: object) -> list[str]:
        parameters = {key.replace("_", ".", 1): one for key, one in searched.items()}
        return [of for of, _ in data_by_search(parameters, TOLD)]

    one = named(lora_r=4, data_block_size=32, model="tiny")
    assert one == named(model="tiny", data_block_size=32, lora_r=8)
    assert one != named(model="tiny", data_block_size=64)
    assert named(lora_r=4, model="a") != named(lora_r=4)


def test_training_data_may_differ_and_evaluation_data_may_not() -> None:
    assert list(data_by_search({"lora.r": 4, "data.block_size": 32}, TOLD)) == [
        ('{"data.block_size": 32}', {"train_data": "a"}),
        ("{}", {"eval_data": "b", "test_data": "c"}),
    ]
    assert list(data_by_search({}, {"torch": "2.13"})) == []
