"""Redaction of passwords in URLs, which libraries repeat in error messages."""

import re

# scheme://user:password@host anywhere in a text.
_PASSWORD = re.compile(r"(\w://[^\s:/@]*):[^\s/@]+@")


def redacted(text: str) -> str:
    """Replace passwords of URLs in overrides, configurations or error messages by ``***``."""
    return _PASSWORD.sub(r"\1:***@", text)
