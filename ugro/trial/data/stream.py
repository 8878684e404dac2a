"""Training documents that are read only as far as a trial needs them."""

from collections.abc import Iterator
from dataclasses import replace

from ugro.config import DataConfig, TaskName
from ugro.errors import UserError, fault
from ugro.trial.data.documents import Document, Skipped
from ugro.trial.data.reading import location, read
from ugro.trial.data.split import Split


class TrainingStream:
    """Training documents in the order of the data, without those that are held out.

    Attributes:
        skipped: malformed and filtered records read so far
        also_held_out: documents left out so far, as they are held out
    """

    def __init__(self, config: DataConfig, split: Split, task: TaskName) -> None:
        self._config = config
        self._split = split
        self._task = task
        self.skipped = Skipped()
        self.also_held_out = 0
        self._any = False

    def __iter__(self) -> Iterator[Document]:
        for document in read(self._config, "train", self.skipped, self._task):
            group = None if document.group is None else document.group.encode()
            if not self._split.held_out.isdisjoint({document.identity, group}):
                self.also_held_out += 1
            else:
                self._any = True
                yield document

    def summary(self) -> Split:
        """Return the split with the counts of what was read.

        Raises:
            UserError: no document was read that is not held out.
        """
        split, skipped = self._split, self.skipped
        if not self._any:
            key, where = location(self._config, "train")
            raise UserError(fault(key, where, "at least one document that is not held out"))
        return replace(
            split,
            also_held_out=self.also_held_out,
            skipped=split.skipped + skipped.count,
            first_skipped=split.first_skipped or skipped.first,
            filtered=split.filtered + skipped.filtered,
        )
