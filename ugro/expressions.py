"""How is a condition over keys and results read and evaluated? Never by running it as Python.

The text is parsed, every node of its tree is held against what is allowed, and the tree is walked.
A dotted name is a key, handed to the caller; it never reaches an attribute of an object.
"""

import ast
import operator
import warnings
from collections.abc import Callable
from dataclasses import dataclass
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
SAMENESS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}
ALLOWED = (
    "keys, numbers, strings, lists, + - * / // %, comparisons, in, and, or, not, min, max, abs"
)


@dataclass(frozen=True)
class Expression:
    """A parsed expression.

    Attributes:
        text: as it was written
        names: the dotted keys that it reads
    """

    text: str
    names: frozenset[str]
    _tree: ast.expr

    def evaluate(self, lookup: Lookup) -> object:
        """Its value.

        Args:
            lookup: gives the value of each of ``names``

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
            raise UserError(f"{_short(self.text)}: gives {value!r:.40}, not true or false")
        return value


def parse(text: str) -> Expression:
    """Read an expression.

    Raises:
        UserError: it is too long or too deep, does not parse, or has parts that are not allowed.
    """
    if len(text) > LONGEST:
        raise UserError(f"{_short(text)}: {len(text)} characters, allowed: {LONGEST}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else type(error).__name__
        raise UserError(
            f"{_short(text)}: does not parse ({reason:.60}), allowed: {ALLOWED}"
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
            type(op) in ORDER or type(op) in SAMENESS for op in ops
        ):
            parts = [left, *others]
        case ast.Call(func=ast.Name(id=name), args=parts, keywords=[]) if name in FUNCTIONS:
            pass
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
            case ast.BinOp(left=left, op=op, right=right):
                return self._arithmetic(op, self._number(left), self._number(right))
            case ast.Compare(left=left, ops=ops, comparators=others):
                return self._compared(left, ops, others)
            case ast.Call(func=ast.Name(id=name), args=parts):
                numbers = [self._number(part) for part in parts]
                if not numbers or (name == "abs") != (len(numbers) == 1):
                    raise self._wrong(f"{name} of {len(numbers)} numbers")
                return FUNCTIONS[name](*numbers)
        raise AssertionError(node)

    def _compared(self, left: ast.expr, ops: list[ast.cmpop], others: list[ast.expr]) -> bool:
        one = self.value(left)
        for op, other in zip(ops, others, strict=True):
            two = self.value(other)
            if not self._holds(op, one, two):
                return False
            one = two
        return True

    def _holds(self, op: ast.cmpop, one: Any, two: Any) -> bool:
        if type(op) in SAMENESS:
            if isinstance(op, ast.In | ast.NotIn) and not isinstance(two, list):
                raise self._wrong(f"{two!r:.40} is no list")
            return SAMENESS[type(op)](one, two)
        alike = (_is_number(one) and _is_number(two)) or (
            isinstance(one, str) and isinstance(two, str)
        )
        if not alike:
            raise self._wrong(f"{one!r:.40} and {two!r:.40} have no order")
        return ORDER[type(op)](one, two)

    def _arithmetic(self, op: ast.operator, one: float, two: float) -> float:
        try:
            return float(result) if (result := ARITHMETIC[type(op)](one, two)) > 2**63 else result
        except (ZeroDivisionError, OverflowError) as error:
            raise self._wrong(str(error)) from None

    def _number(self, node: ast.expr) -> float:
        value = self.value(node)
        if not _is_number(value):
            raise self._wrong(f"{value!r:.40} is no number")
        return value  # type: ignore[no-any-return]

    def _truth(self, node: ast.expr) -> bool:
        value = self.value(node)
        if not isinstance(value, bool):
            raise self._wrong(f"{value!r:.40} is not true or false")
        return value

    def _wrong(self, reason: str) -> UserError:
        return UserError(f"{_short(self._text)}: cannot be evaluated, {reason}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _key(node: ast.AST) -> str | None:
    """The dotted key that a chain of names spells; None where it does not begin with a name."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attribute):
            before = _key(value)
            return before and f"{before}.{attribute}"
    return None


def _refused(node: ast.AST, text: str) -> UserError:
    return UserError(f"{_short(text)}: {type(node).__name__} is not allowed; allowed: {ALLOWED}")


def _short(text: str) -> str:
    """The expression's beginning, on one line."""
    line = " ".join(text[:200].split()).replace("\0", "\\0")
    return line if len(line) <= 50 else f"{line[:50]}..."
