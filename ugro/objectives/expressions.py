"""How is a condition over keys and results read and evaluated? Never by running it as Python.

The text is parsed, every node of its tree is held against what is allowed, and the tree is walked.
A dotted name is a key, handed to the caller; it never reaches an attribute of an object.
"""

import ast
import operator
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ugro.errors import UserError

Lookup = Callable[[str], object]  # from a dotted key to its value

LONGEST = 500  # characters
DEEPEST = 20  # nested parts
DIGITS = 18  # of a whole number
LITERALS = {"true": True, "false": False, "null": None}  # as YAML writes them
FUNCTIONS: dict[str, Callable[..., Any]] = {"min": min, "max": max, "abs": abs}
ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
ORDER: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    **ORDER,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}
ALLOWED = "keys, constants, lists, + - * / // %, comparisons, in, and, or, not, min, max, abs"


@dataclass(frozen=True)
class Expression:
    """A parsed expression.

    Attributes:
        text: as it was written, without the space around it
        names: the dotted keys that it reads
    """

    text: str
    names: frozenset[str]
    _tree: ast.expr = field(repr=False, compare=False)  # the text says it; nodes are never equal

    def evaluate(self, lookup: Lookup) -> object:
        """Its value.

        Args:
            lookup: gives the value of each of ``names``: a number, string, bool, None or list.
                What it raises for an unknown one goes through, so check ``names`` beforehand.

        Raises:
            UserError: values do not go together, as in ``1 + "a"`` or ``1 / 0``.
        """
        return _Evaluation(self.text, lookup).value(self._tree)

    def holds(self, lookup: Lookup) -> bool:
        """Its value, which is true or false.

        Raises:
            UserError: as :meth:`evaluate`, or it is neither.
        """
        value = self.evaluate(lookup)
        if not isinstance(value, bool):
            given = _cut(repr(value), 40)
            raise UserError(f"{_short(self.text)}: gives {given}, not true or false")
        return value


def parse(text: str) -> Expression:
    """Read an expression.

    Raises:
        UserError: it is too long or too deep, is not one line of printable characters, does not
            parse, or has parts that are not allowed.
    """
    if len(text) > LONGEST:
        raise UserError(f"{_short(text)}: {len(text)} characters, allowed: {LONGEST}")
    text = text.strip()
    # Its text stands in messages: no second line, no terminal escapes.
    if strange := next((c for c in text if not c.isprintable()), ""):
        allowed = "one line of printable characters"
        raise UserError(f"{_short(text)}: {strange!a} in it, allowed: {allowed}")
    try:
        with warnings.catch_warnings():  # about 'C:\d', of a category that differs by Python
            warnings.simplefilter("ignore")
            tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else type(error).__name__
        raise UserError(
            f"{_short(text)}: does not parse ({_cut(reason, 30)}), allowed: {ALLOWED}"
        ) from None
    names: set[str] = set()
    _check(tree, text, names, DEEPEST)
    return Expression(text, frozenset(names), tree)


def _check(node: ast.AST, text: str, names: set[str], depth: int) -> None:
    """Refuse every node that is not on the list, and gather the keys."""
    if depth < 0:
        raise UserError(f"{_short(text)}: more than {DEEPEST} parts in each other")
    match node:
        case ast.Name() | ast.Attribute():
            name = _key(node)
            if name is None or any(part.startswith("_") for part in name.split(".")):
                raise _refused(node, text)
            if name not in LITERALS:
                names.add(name)
            return
        case ast.Constant(value=bool() | float() | str() | None):
            return
        case ast.Constant(value=int(number)):
            if abs(number) >= 10**DIGITS:
                raise UserError(f"{_short(text)}: a number of more than {DIGITS} digits")
            return
        case ast.BoolOp(values=parts) | ast.List(elts=parts) | ast.Tuple(elts=parts):
            pass
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.UAdd(), operand=operand):
            parts = [operand]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
            parts = [left, right]
        case ast.Compare(left=left, ops=ops, comparators=others) if all(
            type(op) in COMPARISONS for op in ops
        ):
            parts = [left, *others]
        case ast.Call(func=ast.Name(id=name), args=parts, keywords=[]) if name in FUNCTIONS:
            if len(parts) < 1 or (name == "abs") != (len(parts) == 1):
                allowed = "one for abs, two or more for min and max"
                raise UserError(f"{_short(text)}: {name} of {len(parts)}, allowed: {allowed}")
        case _:
            raise _refused(node, text)
    for part in parts:
        _check(part, text, names, depth - 1)


class _Evaluation:
    """One walk over a checked tree."""

    def __init__(self, text: str, lookup: Lookup) -> None:
        self._text = text
        self._lookup = lookup

    def value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name() | ast.Attribute():
                name = _key(node) or ""
                return LITERALS[name] if name in LITERALS else self._lookup(name)
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                return [self.value(part) for part in parts]
            case ast.BoolOp(op=op, values=parts):
                every = isinstance(op, ast.And)
                return (all if every else any)(self._truth(part) for part in parts)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self._truth(operand)
            case ast.UnaryOp(op=op, operand=operand):
                number = self._number(operand)
                return -number if isinstance(op, ast.USub) else number
            case ast.BinOp():
                return self._arithmetic(node)
            case ast.Compare(left=left, ops=ops, comparators=others):
                return self._compared(left, ops, others)
            case ast.Call(func=ast.Name(id=name), args=parts):
                return FUNCTIONS[name](*[self._number(part) for part in parts])
        raise AssertionError(node)

    def _compared(self, left: ast.expr, ops: list[ast.cmpop], others: list[ast.expr]) -> bool:
        """A chain, from the left, until a comparison does not hold; each part is read once."""
        one = self.value(left)
        for op, other in zip(ops, others, strict=True):
            two = self.value(other)
            if type(op) in ORDER and not _have_order(one, two):
                both = f"{_given(left, one)} and {_given(other, two)}"
                raise self._wrong(f"{both} have no order")
            if isinstance(op, ast.In | ast.NotIn) and not isinstance(two, list):
                raise self._wrong(f"{_given(other, two)} is no list")
            if not COMPARISONS[type(op)](one, two):
                return False
            left, one = other, two
        return True

    def _arithmetic(self, node: ast.BinOp) -> float:
        one, two = self._number(node.left), self._number(node.right)
        try:
            result = ARITHMETIC[type(node.op)](one, two)
            float(result)  # a whole number beyond all floats is refused as a float's overflow is
        except ZeroDivisionError:
            raise self._wrong(f"division by {_given(node.right, two)}") from None
        except OverflowError:
            raise self._wrong("a number beyond 1e308") from None
        return result  # type: ignore[no-any-return]

    def _number(self, node: ast.expr) -> float:
        value = self.value(node)
        if not _is_number(value):
            raise self._wrong(f"{_given(node, value)} is no number")
        return value  # type: ignore[no-any-return]

    def _truth(self, node: ast.expr) -> bool:
        value = self.value(node)
        if not isinstance(value, bool):
            raise self._wrong(f"{_given(node, value)} is not true or false")
        return value

    def _wrong(self, reason: str) -> UserError:
        return UserError(f"{_short(self._text)}: {reason}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _have_order(one: object, two: object) -> bool:
    numbers = _is_number(one) and _is_number(two)
    return numbers or (isinstance(one, str) and isinstance(two, str))


def _key(node: ast.AST) -> str | None:
    """The dotted key that a chain of names spells; None where it does not begin with a name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def _given(node: ast.expr, value: object) -> str:
    """A value as messages tell it, after the key that it is of."""
    key, told = _key(node), _cut(repr(value), 24)
    return told if key is None or key in LITERALS else f"{_cut(key, 36)}={told}"


def _refused(node: ast.AST, text: str) -> UserError:
    return UserError(f"{_short(text)}: {type(node).__name__} is not allowed; allowed: {ALLOWED}")


def _short(text: str) -> str:
    """The expression's beginning, on one line."""
    line = " ".join(text[:200].split())
    return _cut("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line), 53)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
