import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ugro.errors import fault
from ugro.logs import RedactingFormatter
from ugro.redaction import redacted
from ugro.retries import one_line

PASSWORDS = st.text(
    st.characters(codec="ascii", exclude_characters="/@ \t\r\n\x0b\x0c\x1c\x1d\x1e\x1f"), min_size=1
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql+psycopg://me:pw@host/db", "postgresql+psycopg://me:***@host/db"),
        ("GET http://me:a:b@host:1/x failed", "GET http://me:***@host:1/x failed"),
        (
            "at redis://:pw@host, at http://you:pw@there",
            "at redis://:***@host, at http://you:***@there",
        ),
        ("http://host:80/a@b", "http://host:80/a@b"),
        ("a:b@c", "a:b@c"),
    ],
)
def test_passwords_of_urls_are_redacted(text: str, expected: str) -> None:
    assert redacted(text) == expected


@given(PASSWORDS)
def test_any_password_is_redacted(password: str) -> None:
    assert redacted(f"at s://me:{password}@host.") == "at s://me:***@host."


def test_messages_tracebacks_and_errors_are_redacted() -> None:
    try:
        raise ValueError("no answer from http://me:pw@host")
    except ValueError as error:
        raised = error
    record = logging.LogRecord(
        "a", logging.ERROR, "", 0, "at %s", ("http://me:pw@host",),
        (ValueError, raised, raised.__traceback__),
    )  # fmt: skip
    formatted = RedactingFormatter("%(message)s").format(record)
    assert formatted.startswith("at http://me:***@host\nTraceback")
    assert formatted.endswith("ValueError: no answer from http://me:***@host")
    assert "pw" not in formatted
    assert one_line(raised) == "ValueError: no answer from http://me:***@host"
    assert fault("a", "http://me:pw@host", "none") == "a: 'http://me:***@host' given, allowed: none"
