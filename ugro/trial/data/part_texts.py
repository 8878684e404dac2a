"""The texts of a part of the data, counted and digested as they are read."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

from ugro.config import BadRecords, DataConfig
from ugro.errors import UserError
from ugro.trial.data.documents import Document, Skipped
from ugro.trial.data.texts import Text


class PartTexts:
    """Iterate over document index and text of a part; count and digest the documents.

    Attributes:
        count: documents read so far
        formats: documents of each format
        conversations: documents of messages
        labels: texts of each label

    Args:
        config: data configuration
        documents: documents of the part
        render: returns the texts of a document
        skipped: counts records that ``data.bad_records=skip`` skips
        keep_records: keep the record of each text, for metrics
    """

    def __init__(
        self,
        config: DataConfig,
        documents: Iterator[Document],
        render: Callable[[Document], list[Text]],
        skipped: Skipped,
        keep_records: bool,
    ) -> None:
        self.count = 0
        self.formats: Counter[str] = Counter()
        self.conversations = 0
        self.labels: Counter[str] = Counter()
        self._keep_records = keep_records
        self._skips = config.bad_records is BadRecords.skip
        self._documents = documents
        self._render = render
        self._skipped = skipped
        self._digest = hashlib.blake2b(digest_size=16)

    def __iter__(self) -> Iterator[tuple[int, Text]]:
        first: UserError | None = None
        for document in self._documents:
            try:
                texts = self._render(document)
            except UserError as error:  # refused by the chat template
                if not self._skips:
                    raise
                self._skipped.note(str(error))
                first = first or error
                continue
            self._digest.update(document.identity)
            self.formats[document.format] += 1
            self.conversations += document.is_conversation
            number = self.count
            self.count += 1
            for text in texts:
                if text.label is not None:
                    self.labels[text.label] += 1
                kept = replace(text, record=document.record) if self._keep_records else text
                yield number, kept
        if first is not None and not self.count:
            raise first

    def identity(self) -> str:
        """Return the digest of the documents read so far."""
        return self._digest.hexdigest()
