import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ugro.metrics import functions
from ugro.metrics.examples import GenerationExample, TokenExample


def answers(*pairs: tuple[str, str]) -> list[GenerationExample]:
    """Examples of generation and reference."""
    return [GenerationExample("?", [given], wanted, {}) for given, wanted in pairs]


def test_token_accuracy_weighs_tokens_equally() -> None:
    examples = [TokenExample(3.0, 1, 1, {}), TokenExample(9.0, 9, 3, {})]
    assert functions.token_accuracy(examples) == 0.4


def test_an_exact_match_ignores_only_surrounding_white_space() -> None:
    found = functions.exact_match(answers((" yes\n", "yes"), ("Yes", "yes"), ("", "yes")))
    assert found == [1.0, 0.0, 0.0]


def test_several_answers_to_a_prompt_count_by_their_mean() -> None:
    both = GenerationExample("?", ("yes", "no", "yes", "maybe"), "yes", {})
    assert functions.exact_match([both]) == [0.5]
    assert both.generation == "yes"


def test_f1_equals_squads_worked_by_hand() -> None:
    found = functions.f1(
        answers(
            ("The cat sat.", "a cat sat"),  # articles and punctuation do not count
            ("a big red cat", "red cat"),  # 2 of 3 given, 2 of 2 wanted: 2 * 2/3 * 1 / (5/3)
            ("dog", "cat"),
            ("the", ""),  # both without words
            ("dog", ""),
        )
    )
    assert found == pytest.approx([1.0, 0.8, 0.0, 1.0, 0.0])


@given(st.lists(st.sampled_from(["a", "the", "cat", "dog", "sat,", "red.", "cat"]), max_size=6))
def test_f1_of_equal_texts_is_one(words: list[str]) -> None:
    text = " ".join(words)
    assert functions.f1(answers((text, text))) == [1.0]


def test_rouge_l_is_the_packages() -> None:
    pytest.importorskip("rouge_score")
    # The longest common subsequence of 4 and 3 words has 2: precision 2/4, recall 2/3.
    found = functions.rouge_l(answers(("police kill the gunman", "police killed gunman")))
    assert found == pytest.approx([2 * 0.5 * (2 / 3) / (0.5 + 2 / 3)])


@pytest.mark.parametrize(
    ("generation", "reference", "value"),
    [
        ("so it is 1,234.50", "1234.5", 1.0),
        ("first 3, then 4", "4", 1.0),
        ("-4", "4", 0.0),
        ("none", "4", 0.0),
        ("", "4", 0.0),
        ("1e3", "1000", 1.0),
    ],
)
def test_numbers_are_equal_by_the_last(
    generation: str, reference: str, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(functions, "find_spec", lambda name: None)
    assert functions.numeric_equality(answers((generation, reference))) == [value]


def test_fractions_are_equal_where_math_verify_is_installed() -> None:
    pytest.importorskip("math_verify")
    pairs = answers((r"$\frac{1}{2}$", "0.5"), (r"$\frac{1}{3}$", "0.5"))
    assert functions.numeric_equality(pairs) == [1.0, 0.0]


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner)))
def test_what_json_writes_is_valid(value: object) -> None:
    text = json.dumps(value)
    assert functions.json_validity(answers((text, ""), (text + "}", ""))) == [1.0, 0.0]
