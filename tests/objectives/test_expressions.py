import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ugro.errors import UserError
from ugro.objectives.expressions import MAX_LENGTH, parse

KEYS = {
    "seed": 42,
    "lora.r": 16,
    "lora.alpha": 32.0,
    "lora.dropout": 0.1,
    "lora.use_dora": True,
    "lora.target_modules": ["q_proj", "v_proj"],
    "lora.modules_to_save": None,
    "lora.weight": 0.0,
    "training.dtype": "auto",
    "training.learning_rate": 2e-4,
}


def value(text: str, keys: Mapping[str, Any] = KEYS) -> object:
    return parse(text).evaluate(keys.__getitem__)


def refusal(read: Callable[[str], object], text: str) -> str:
    with pytest.raises(UserError) as refused:
        read(text)
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lora.alpha >= lora.r", True),
        ("0 <= lora.dropout <= 0.5", True),
        ("0.2 <= lora.dropout <= 0.5", False),
        ("0 <= lora.dropout <= 0.05", False),
        ("training.learning_rate <= 1e-2", True),
        ("lora.alpha == 2 * lora.r", True),
        ("lora.alpha / lora.r > 2", False),
        ("lora.r % 8 == 0 and lora.r // 8 == 2", True),
        ("not lora.use_dora or lora.r < 32", True),
        ("lora.use_dora == true and lora.modules_to_save == null", True),
        ("lora.target_modules == ['q_proj', 'v_proj']", True),
        ("lora.target_modules == ('q_proj', 'v_proj')", True),
        ("lora.target_modules != 'all-linear'", True),
        ("'q_proj' in lora.target_modules", True),
        ("lora.r in [8, 16]", True),
        ("lora.r not in (8, 16)", False),
        ("training.dtype in ['auto', 'bf16']", True),
        ("'a' < training.dtype < 'b'", True),
        ("lora.target_modules == 'all-linear'", False),
        ("lora.alpha in [lora.r, 2 * lora.r]", True),
        ("lora.dropout == .1 and lora.dropout != 1e-1 + 1", True),
        ("seed == 0x2A == 4_2", True),
        ("\uff4cora.r == 16", True),  # Python reads a full-width letter as the plain one
        ("training.dtype != 'C:\\data'", True),
        ("max(lora.r, 8, 64) == 64", True),
        ("max(lora.r, 8) <= 64 and min(lora.r, 8) == 8", True),
        ("abs(lora.alpha - 2 * lora.r) < 1", True),
        ("abs(lora.r - 20) == 4", True),
        ("-lora.r + 1 == -15", True),
        ("1 == 1 == 2", False),
        (" seed == 42 ", True),
        ("lora.r > 8 or 1 / 0 > 1", True),
        ("lora.r < 8 and 1 / 0 > 1", False),
        ("9 < 1 < 1 / 0", False),
        ("lora.r <= 8 <= null", False),
        (f"{'not ' * 20}true", True),  # as deep, as many digits and as long as is allowed
        (f"{'9' * 18} > 1", True),
        (f"lora.r == 16{' ' * 487}#", True),
    ],
)
def test_an_expression_means_what_it_says(text: str, expected: bool) -> None:
    assert value(text) is expected
    assert parse(text).holds(KEYS.__getitem__) is expected


def test_parsing_raises_no_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert value("training.dtype != 'C:\\data' and 1in[1]") is True


def test_names_are_the_keys_read() -> None:
    expression = parse("lora.alpha >= max(lora.r, 8) and not seed in [1] or true")
    assert expression.names == {"lora.alpha", "lora.r", "seed"}


def test_nan_compares_as_false() -> None:
    nan = {"eval_loss": float("nan")}
    assert value("eval_loss < 3", nan) is False
    assert value("eval_loss >= 3", nan) is False


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("lora.r > 'a'", "lora.r > 'a': lora.r=16 and 'a' cannot be ordered"),
        ("8 <= lora.r <= null", "8 <= lora.r <= null: lora.r=16 and None cannot be ordered"),
        ("training.dtype * 2 > 1", "training.dtype * 2 > 1: training.dtype='auto' is not a number"),
        ("lora.r and true", "lora.r and true: lora.r=16 is neither true nor false"),
        ("8 in lora.r", "8 in lora.r: lora.r=16 is not a list"),
        ("seed % 0 == 1", "seed % 0 == 1: division by 0"),
        ("seed / (lora.r - 16) > 1", "seed / (lora.r - 16) > 1: division by 0"),
        ("1 % lora.weight > 1", "1 % lora.weight > 1: division by lora.weight=0.0"),
        ("lora.r", "lora.r: gives 16, neither true nor false"),
        (
            "abs(1, 2) > 1",
            "abs(1, 2) > 1: abs of 2, allowed: one for abs, two or more for min and max",
        ),
        ("1 >\n2", "1 > 2: '\\n' in it, allowed: one line of printable characters"),
        ("lora.r" * 100, f"{('lora.r' * 9)[:50]}...: 600 characters, allowed: 500"),
    ],
)
def test_errors_name_the_key_and_its_value(text: str, line: str) -> None:
    assert refusal(lambda given: parse(given).holds(KEYS.__getitem__), text) == line


def test_errors_of_the_lookup_propagate() -> None:
    expression = parse("lora.rank > 8 or print > 1")
    assert expression.names == {"lora.rank", "print"}
    with pytest.raises(KeyError, match=r"lora\.rank"):
        expression.evaluate(KEYS.__getitem__)


def test_expressions_of_the_same_text_are_equal() -> None:
    assert parse("lora.r > 8") == parse(" lora.r > 8\n")
    assert len({parse("lora.r > 8"), parse("lora.r > 8"), parse("lora.r > 9")}) == 2


def test_short_circuited_keys_are_not_looked_up() -> None:
    asked: list[str] = []

    def lookup(name: str) -> object:
        asked.append(name)
        return KEYS[name]

    assert parse("lora.r < 8 < lora.alpha or 0 <= seed <= 99 or lora.dropout > 1").holds(lookup)
    assert asked == ["lora.r", "seed"]


def _joined(operators: str, part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    one_of = st.sampled_from(operators.split())
    return st.tuples(part, one_of, part).map("({0[0]} {0[1]} {0[2]})".format)


NUMBERS = st.recursive(
    st.sampled_from(["lora.r", "lora.alpha", "lora.dropout", "seed", "0", "3", "0.5", "1e-9"]),
    lambda part: st.one_of(
        _joined("+ - * / // %", part),
        part.map("-{}".format),
        part.map("abs({})".format),
        st.tuples(st.sampled_from(["min", "max"]), part, part).map("{0[0]}({0[1]}, {0[2]})".format),
    ),
    max_leaves=4,
)
CHAINS = st.tuples(NUMBERS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), NUMBERS)
COMPARED = st.one_of(
    CHAINS.map(" ".join),
    st.tuples(NUMBERS, CHAINS.map(" ".join)).map(" <= ".join),
    st.tuples(NUMBERS, NUMBERS, NUMBERS).map("{0[0]} in [{0[1]}, {0[2]}]".format),
)
CONDITIONS = st.recursive(
    COMPARED,
    lambda part: st.one_of(_joined("and or", part), part.map("(not {})".format)),
    max_leaves=2,
)


@given(CONDITIONS)
def test_conditions_agree_with_python(text: str) -> None:
    plain = text
    for key in ("seed", "lora.r", "lora.alpha", "lora.dropout"):
        plain = plain.replace(key, str(KEYS[key]))
    assume(len(text) <= MAX_LENGTH)
    try:
        expected = eval(plain)
    except ZeroDivisionError:
        with pytest.raises(UserError, match="division by"):
            value(text)
    else:
        assert value(text) is expected


# No part of these is on the list.
HOSTILE = {
    "import": "__import__('os').system('echo')",
    "dunder name": "__builtins__",
    "dunder key": "lora.__class__",
    "dunder chain": "lora.r.__class__.__mro__",
    "tuple class": "().__class__.__bases__[0].__subclasses__()",
    "string attribute": "''.join(['a'])",
    "number attribute": "(1).real",
    "string class": "'a'.__class__",
    "private key": "lora._metadata",
    "power tower": "9**9**9**9",
    "power": "2**10",
    "power of a key": "lora.r ** lora.r ** lora.r > 1",
    "shift": "1<<1000000000",
    "bitwise": "1 | 2",
    "invert": "~1",
    "matrix": "1 @ 2",
    "string times": "'a' * 10**9",
    "list comprehension": "[x for x in [1]]",
    "set comprehension": "{x for x in [1]}",
    "dict comprehension": "{x: x for x in [1]}",
    "generator": "max(x for x in [1])",
    "lambda": "(lambda: 1)()",
    "walrus": "(x := 1)",
    "conditional": "1 if true else 2",
    "f-string": "f'{1}'",
    "format by name": "'{0.__class__}'.format(1)",
    "async comprehension": "[x async for x in lora]",
    "subscript": "lora['r']",
    "slice": "lora.target_modules[0:1]",
    "starred": "max(*[1, 2])",
    "starred list": "1 in [*lora.target_modules]",
    "unpacked": "max(**{'key': 1})",
    "keyword": "max(1, key=abs)",
    "await": "await lora",
    "yield": "(yield 1)",
    "dict": "{'a': 1}",
    "set": "{1, 2}",
    "bytes": "b'a' == b'a'",
    "complex": "1j == 1",
    "ellipsis": "... == 1",
    "eval": "eval('1')",
    "exec": "exec('1')",
    "open": "open('/etc/passwd')",
    "getattr": "getattr(lora, 'r')",
    "print": "print(1)",
    "compile": "compile('1', '', 'eval')",
    "globals": "globals()",
    "key named as a function": "max.r(1, 2)",
    "is": "lora.modules_to_save is None",
    "assertion": "assert true",
    "function": "def f(): pass",
    "deletion": "del lora",
    "return": "return 1",
    "method of a function": "min.__self__",
    "call of a key": "lora.r()",
    "call of a call": "abs(1)(2)",
    "statement": "import os",
    "assignment": "x = 1",
    "two statements": "1; 2",
    "two lines": "1\n2",
    "line break in parentheses": "(1 ==\n1)",
    "continued line": "1 == \\\n1",
    "backslash": "1 == 1 \\",
    "carriage return": "1 ==\r1",
    "terminal escape": "'\x1b[2J' == 'a'",
    "right to left": "'\u202e' == 'a'",
    "zero width": "lora\u200b.r == 16",
    "no-break space": "lora.r\u00a0== 16",
    "lone quote": "'",
    "lone bracket": ")",
    "empty": "",
    "blank": "   ",
    "comment": "# nothing",
    "half": "lora.r >",
    "dot": "lora.",
    "leading dot": ".r == 1",
    "null byte": "1\0 == 1",
    "null byte in a string": "'\0' == 'a'",
    "surrogate": "'\ud800' == 1",
    "look-alike": "\uff3f\uff3fimport\uff3f\uff3f('os')",
    "look-alike key": "lora.\uff3f\uff3fclass\uff3f\uff3f",
    "look-alike low line": "\ufe33\ufe33import\ufe33\ufe33('os')",
    "look-alike operator": "lora.r \uff1e 1",
    "look-alike minus": "\u2212 1 < 0",
    "look-alike eval": "\U0001d41e\U0001d42f\U0001d41a\U0001d425('1')",
    "megabyte string": "'" + "a" * 2**20 + "' == 'a'",
    "megabyte of parentheses": "(" * 2**20,
    "deep parentheses": "(" * 240 + "1" + ")" * 240,
    "deep not": "not " * 120 + "true",
    "deep minus": "-" * 450 + "1",
    "deep lists": "[" * 90 + "1" + "]" * 90 + " == 1",
    "deep sums": "+".join(["1"] * 200),
    "deep calls": "abs(" * 80 + "1" + ")" * 80,
    "megabyte of space": " " * 2**20 + "true",
    "deep parentheses and not": "(not " * 99 + "true" + ")" * 99,
    "huge number": "9" * 400 + " > 1",
    "huge hexadecimal": "0x" + "f" * 400 + " > 1",
    "huge digits": "9" * 100_000 + " > 1",
    "largest of a list": "max(lora.target_modules) == 1",
    "no number": "abs()",
    "abs of two": "abs(1, 2)",
}

# These are well formed; it is their values that are impossible.
CONFUSED = {
    "string repeat": "'a' * 1000000000",
    "list repeat": "[0] * 1000000000",
    "string format": "'%01000000000d' % 1",
    "string plus": "'a' + 'b'",
    "bool plus": "true + 1",
    "huge product": "*".join(["(" + "*".join(["9" * 18] * 6) + ")"] * 4) + " > 1",
    "zero": "1 / 0 > 1",
    "zero remainder": "1 % 0 == 1",
    "floats beyond": "1e308 * 1e308 // 1e-308 % 0 > 1",
    "order of kinds": "lora.r > 'a'",
    "order of null": "lora.modules_to_save > 1",
    "order of lists": "lora.target_modules > 1",
    "in a number": "1 in lora.r",
    "in a string": "'a' in 'abc'",
    "and of numbers": "1 and 2",
    "not of a list": "not lora.target_modules",
    "minus a string": "-training.dtype",
    "null in a chain": "0 <= lora.modules_to_save <= 1",
    "sum of lists": "lora.target_modules + lora.target_modules == 1",
    "list times": "lora.target_modules * 1000000000 == 1",
    "largest of strings": "max('a', 'b') == 'b'",
    "order of bools": "lora.use_dora > false",
    "in null": "1 in lora.modules_to_save",
    "not of null": "not lora.modules_to_save",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_expression_is_refused(text: str) -> None:
    message = refusal(parse, text)
    assert len(message) < 200
    assert message.isprintable()


@pytest.mark.parametrize("text", CONFUSED.values(), ids=CONFUSED.keys())
def test_incompatible_operands_are_refused(text: str) -> None:
    parse(text)
    message = refusal(value, text)
    assert len(message) < 200
    assert message.isprintable()


def test_refusals_take_no_time() -> None:
    began = time.process_time()
    for text in [*HOSTILE.values(), *CONFUSED.values()]:
        refusal(value, text)
    assert time.process_time() - began < 1


WORDS = (
    "lora r _ __class__ true null 0 1 1e308 1j 'a' b'' f'{1}' ... ( ) [ ] { } , : . ; = := == <= "
    "+ - * ** / // % @ & | ~ << and or not in is if else for lambda await yield min abs eval \\ \0"
)
TOKENS = st.lists(st.sampled_from(WORDS.split(" ")), max_size=12).map(" ".join)


@given(st.text(max_size=60) | TOKENS)
def test_any_text_parses_or_is_refused(text: str) -> None:
    message = ""
    try:
        parse(text).evaluate(lambda name: 1)
    except UserError as error:
        message = str(error)
    assert message.isprintable()
    assert len(message) < 200


@pytest.mark.parametrize("text", ["lora.r", "1 + 1", "'a'", "null"])
def test_a_condition_is_true_or_false(text: str) -> None:
    with pytest.raises(UserError, match="neither true nor false"):
        parse(text).holds(KEYS.__getitem__)
