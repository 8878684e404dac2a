"""Ready-made metric functions.

Each takes a list of examples and returns a value per example, whose mean is the metric. Of several
generations of an example, the value is the mean.
"""

import json
import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from statistics import fmean

from ugro.metrics.examples import GenerationExample, TokenExample

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)
NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:[eE][-+]?\d+)?")


def token_accuracy(examples: Sequence[TokenExample]) -> float:
    """Return the share of target tokens that are the model's most likely token.

    Tokens have equal weights, as in TRL's ``mean_token_accuracy``, so this is no mean over
    examples.
    """
    return sum(e.correct for e in examples) / sum(e.tokens for e in examples)


def exact_match(examples: Sequence[GenerationExample]) -> list[float]:
    """Return 1 where generation and reference are equal apart from surrounding white space."""
    return _scores(examples, lambda given, wanted: float(given.strip() == wanted.strip()))


def f1(examples: Sequence[GenerationExample]) -> list[float]:
    """Return SQuAD's F1 of the words, without case, punctuation and articles.

    Source: Rajpurkar et al. 2016, https://arxiv.org/abs/1606.05250, and its evaluation script.
    """
    return _scores(examples, lambda given, wanted: _f1(_words(given), _words(wanted)))


def rouge_l(examples: Sequence[GenerationExample]) -> list[float]:
    """Return the F-measure of ROUGE-L, computed by the package ``rouge-score``.

    Raises:
        ImportError: the package is not installed.
    """
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"])
    return _scores(examples, lambda given, wanted: scorer.score(wanted, given)["rougeL"].fmeasure)


def numeric_equality(examples: Sequence[GenerationExample]) -> list[float]:
    """Return 1 where the last numbers of generation and reference are equal.

    If ``math-verify`` is installed, it parses and compares both, which also covers fractions and
    LaTeX. Else the last decimal number counts, with or without thousands separators.
    """
    if find_spec("math_verify"):
        from math_verify import parse, verify

        return _scores(examples, lambda given, wanted: float(verify(parse(wanted), parse(given))))
    return _scores(examples, lambda given, wanted: float(_same_number(given, wanted)))


def json_validity(examples: Sequence[GenerationExample]) -> list[float]:
    """Return 1 where the generation is a JSON value."""
    return _scores(examples, lambda given, _: float(_is_json(given)))


def _scores(
    examples: Sequence[GenerationExample], score: Callable[[str, str], float]
) -> list[float]:
    """Return the mean score of each example's generations beside its reference."""
    return [fmean(score(given, one.reference) for given in one.generations) for one in examples]


def _words(text: str) -> list[str]:
    return ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split()


def _f1(given: list[str], wanted: list[str]) -> float:
    if not given or not wanted:
        return float(given == wanted)
    common = sum((Counter(given) & Counter(wanted)).values())
    return 2 * common / (len(given) + len(wanted))


def _same_number(given: str, wanted: str) -> bool:
    last, right = _last_number(given), _last_number(wanted)
    return last is not None and last == right


def _last_number(text: str) -> float | None:
    found = [match for match in NUMBER.findall(text) if any(map(str.isdigit, match))]
    return float(found[-1].replace(",", "")) if found else None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
