"""What of a text may be told? All but the passwords of URLs, which libraries repeat in errors."""

import re

# scheme://user:password@host, wherever it stands.
_PASSWORD = re.compile(r"(\w://[^\s:/@]*):[^\s/@]+@")


def redacted(text: str) -> str:
    """The text with ``***`` for each password: overrides, configurations, errors may hold some."""
    return _PASSWORD.sub(r"\1:***@", text)
