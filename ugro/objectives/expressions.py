"""Safe expressions over keys and metrics, evaluated without running Python code.

The text is parsed to a syntax tree, every node is checked against an allowlist, and the tree is
interpreted. A dotted name is a key that the caller looks up; it never accesses an attribute.
"""

import ast
import operator
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ugro.errors import UserError

Lookup = Callable[[str], object]  # value of a dotted key

MAX_LENGTH = 500  # characters
MAX_DEPTH = 20  # nested nodes
MAX_DIGITS = 18  # digits of an integer
LITERALS = {"true": True, "false": False, "null": None}  # YAML's spelling
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
    ast.In: lambda item, items: item in items,
    ast.NotIn: lambda item, items: item not in items,
}
ALLOWED = "keys, constants, lists, + - * / // %, comparisons, in, and, or, not, min, max, abs"


@dataclass(frozen=True)
class Expression:
    """A parsed expression.

    Attributes:
        text: source text, stripped
        names: dotted keys that the expression reads
    """

    text: str
    names: frozenset[str]
    _tree: ast.expr = field(repr=False, compare=False)  # AST nodes have no equality

    def evaluate(self, lookup: Lookup) -> object:
        """Evaluate the expression.

        Args:
            lookup: returns the value of each name: a number, string, bool, None or list. Its errors
                propagate, so check ``names`` beforehand.

        Raises:
            UserError: operand types or values are invalid, as in ``1 + "a"`` or ``1 / 0``.
        """
        return _Evaluation(self.text, lookup).value(self._tree)

    def holds(self, lookup: Lookup) -> bool:
        """Evaluate a condition.

        Raises:
            UserError: as :meth:`evaluate`, or the value is not a bool.
        """
        value = self.evaluate(lookup)
        if not isinstance(value, bool):
            given = _cut(repr(value), 40)
            raise UserError(f"{_short(self.text)}: gives {given}, neither true nor false")
        return value


def parse(text: str) -> Expression:
    """Parse an expression.

    Raises:
        UserError: the text is too long or too deeply nested, has line breaks or unprintable
            characters, does not parse, or uses syntax that is not allowed.
    """
    if len(text) > MAX_LENGTH:
        raise UserError(f"{_short(text)}: {len(text)} characters, allowed: {MAX_LENGTH}")
    text = text.strip()
    # Messages repeat the text, so line breaks and terminal escapes are refused.
    if unprintable := next((c for c in text if not c.isprintable()), ""):
        allowed = "one line of printable characters"
        raise UserError(f"{_short(text)}: {unprintable!a} in it, allowed: {allowed}")
    try:
        with warnings.catch_warnings():  # 'C:\d' warns, in a category that depends on the Python
            warnings.simplefilter("ignore")
            tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else type(error).__name__
        raise UserError(
            f"{_short(text)}: does not parse ({_cut(reason, 30)}), allowed: {ALLOWED}"
        ) from None
    names: set[str] = set()
    _check(tree, text, names, MAX_DEPTH)
    return Expression(text, frozenset(names), tree)


def _check(node: ast.AST, text: str, names: set[str], depth: int) -> None:
    """Refuse every node that is not on the allowlist, and collect the keys."""
    if depth < 0:
        raise UserError(f"{_short(text)}: more than {MAX_DEPTH} nested parts")
    match node:
        case ast.Name() | ast.Attribute():
            name = _key(node)
            if name is None or any(part.startswith("_") for part in name.split(".")):
                raise _not_allowed(node, text)
            if name not in LITERALS:
                names.add(name)
            return
        case ast.Constant(value=bool() | float() | str() | None):
            return
        case ast.Constant(value=int(number)):
            if abs(number) >= 10**MAX_DIGITS:
                raise UserError(f"{_short(text)}: a number of more than {MAX_DIGITS} digits")
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
            raise _not_allowed(node, text)
    for part in parts:
        _check(part, text, names, depth - 1)


class _Evaluation:
    """Interpreter of a checked tree."""

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
                combine = all if isinstance(op, ast.And) else any
                return combine(self._truth(part) for part in parts)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self._truth(operand)
            case ast.UnaryOp(op=op, operand=operand):
                number = self._number(operand)
                return -number if isinstance(op, ast.USub) else number
            case ast.BinOp():
                return self._arithmetic(node)
            case ast.Compare(left=left, ops=ops, comparators=others):
                return self._comparison(left, ops, others)
            case ast.Call(func=ast.Name(id=name), args=parts):
                return FUNCTIONS[name](*[self._number(part) for part in parts])
        raise AssertionError(node)

    def _comparison(self, left: ast.expr, ops: list[ast.cmpop], others: list[ast.expr]) -> bool:
        """Evaluate a chain of comparisons, each operand once, until the first that is false."""
        left_value = self.value(left)
        for op, right in zip(ops, others, strict=True):
            right_value = self.value(right)
            if type(op) in ORDER and not _are_ordered(left_value, right_value):
                both = f"{_described(left, left_value)} and {_described(right, right_value)}"
                raise self._error(f"{both} cannot be ordered")
            if isinstance(op, ast.In | ast.NotIn) and not isinstance(right_value, list):
                raise self._error(f"{_described(right, right_value)} is not a list")
            if not COMPARISONS[type(op)](left_value, right_value):
                return False
            left, left_value = right, right_value
        return True

    def _arithmetic(self, node: ast.BinOp) -> float:
        left, right = self._number(node.left), self._number(node.right)
        try:
            result = ARITHMETIC[type(node.op)](left, right)
            float(result)  # an integer beyond the range of floats overflows as a float would
        except ZeroDivisionError:
            raise self._error(f"division by {_described(node.right, right)}") from None
        except OverflowError:
            raise self._error("a number beyond 1e308") from None
        return result  # type: ignore[no-any-return]

    def _number(self, node: ast.expr) -> float:
        value = self.value(node)
        if not _is_number(value):
            raise self._error(f"{_described(node, value)} is not a number")
        return value  # type: ignore[no-any-return]

    def _truth(self, node: ast.expr) -> bool:
        value = self.value(node)
        if not isinstance(value, bool):
            raise self._error(f"{_described(node, value)} is neither true nor false")
        return value

    def _error(self, reason: str) -> UserError:
        return UserError(f"{_short(self._text)}: {reason}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_ordered(left: object, right: object) -> bool:
    numbers = _is_number(left) and _is_number(right)
    return numbers or (isinstance(left, str) and isinstance(right, str))


def _key(node: ast.AST) -> str | None:
    """Return the dotted key of a chain of names, or None where the chain starts otherwise."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def _described(node: ast.expr, value: object) -> str:
    """Format a value for a message, with its key if it has one."""
    key, shown = _key(node), _cut(repr(value), 24)
    return shown if key is None or key in LITERALS else f"{_cut(key, 36)}={shown}"


def _not_allowed(node: ast.AST, text: str) -> UserError:
    return UserError(f"{_short(text)}: {type(node).__name__} is not allowed; allowed: {ALLOWED}")


def _short(text: str) -> str:
    """Return the start of the expression on one line, without control characters."""
    line = " ".join(text[:200].split())
    return _cut("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line), 53)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."
