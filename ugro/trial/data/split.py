"""Split documents into what is trained on, what is evaluated on and what is tested on."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ugro.config import DataConfig
from ugro.errors import UserError, fault
from ugro.trial.data.documents import Document, Skipped, read

PARTS = ("train", "eval", "test")
ENOUGH = 20  # distinct documents from which a test part is held out unasked for


@dataclass(frozen=True)
class Split:
    """Which document goes where, by its place in the order in which documents are read.

    Attributes:
        parts: a part's name for each document of the training files; None: left out as repeated
        repeated: documents of the training files that stand there already
        also_held_out: documents of the training files that are held out elsewhere, left out there
        evaluated_and_tested: documents that stand in the files of both
        near_duplicates: held-out documents that equal one trained on in letters and digits
        skipped: malformed records left out, of all files
        first_skipped: what is wrong with the first of them
    """

    parts: tuple[str | None, ...]
    repeated: int
    also_held_out: int
    evaluated_and_tested: int
    near_duplicates: int
    skipped: int
    first_skipped: str


@dataclass(frozen=True, slots=True)
class _Known:
    """What the split needs of a document; a million of them fit in memory."""

    identity: bytes
    group: bytes
    gist: bytes
    length: int


def split_of(config: DataConfig) -> Split:
    """Read all documents once and decide where each one goes.

    The split depends on ``data.split_seed`` and the documents, neither on the trial's seed nor on
    the tokenizer, so that all trials of a study are evaluated on the same text. Equal documents,
    and documents of one group, never stand on both sides.

    Raises:
        UserError: files or columns are missing, a record is malformed, or a part is empty.
    """
    skipped = Skipped()
    given = {part: [*_known(read(config, part, skipped))] for part in _apart(config)}
    train = [*_known(read(config, "train", skipped))]
    apart = [one for part in given.values() for one in part]
    taken = {one.group for one in apart} | {one.identity for one in apart}
    kept = [one for one in train if one.group not in taken and one.identity not in taken]
    shares = _shares(config, kept)
    held_out = _hold_out(kept, shares, config.split_seed)
    parts, repeated, also_held_out = _parts(train, taken, held_out, config.deduplicate)
    trained = {one.gist for one, part in zip(train, parts, strict=True) if part == "train"}
    apart += [one for one, part in zip(train, parts, strict=True) if part in shares]
    both = ({one.identity for one in given.get(part, ())} for part in ("eval", "test"))
    split = Split(
        parts=tuple(parts),
        repeated=repeated,
        also_held_out=also_held_out,
        evaluated_and_tested=len(set.intersection(*both)),
        near_duplicates=sum(one.gist in trained for one in apart),
        skipped=skipped.count,
        first_skipped=skipped.first,
    )
    _check(config, split, given)
    return split


def documents_of(config: DataConfig, split: Split, part: str) -> Iterator[Document]:
    """Yield the documents of a part, read again."""
    if part in _apart(config):
        yield from read(config, part, Skipped())
        return
    for document, where in zip(read(config, "train", Skipped()), split.parts, strict=True):
        if where == part:
            yield document


def _apart(config: DataConfig) -> list[str]:
    """Name the parts that have files or a split of their own."""
    own = {
        "eval": config.eval_files or config.eval_split,
        "test": config.test_files or config.test_split,
    }
    return [part for part, where in own.items() if where]


def _known(documents: Iterable[Document]) -> Iterator[_Known]:
    for one in documents:
        group = one.identity if one.group is None else one.group.encode()
        yield _Known(one.identity, group, one.gist, one.length)


def _shares(config: DataConfig, documents: list[_Known]) -> dict[str, float]:
    """Give each part that is held out its share of the characters."""
    own, shares = _apart(config), {}
    if "eval" not in own:
        shares["eval"] = config.eval_fraction
    enough = len({one.group for one in documents}) >= ENOUGH
    if "test" not in own and config.test_fraction and enough:
        shares["test"] = config.test_fraction
    return shares


def _hold_out(documents: list[_Known], shares: dict[str, float], seed: int) -> dict[bytes, str]:
    """Draw groups at random until they make up each part's share of the characters.

    A group longer than what is still wanted is passed over, so that one giant among small ones does
    not eat the training set; where all are too long the shortest is taken.
    """
    sizes: dict[bytes, int] = {}
    for one in documents:
        sizes[one.group] = sizes.get(one.group, 0) + one.length
    order = [*sizes]
    random.Random(seed).shuffle(order)
    held_out: dict[bytes, str] = {}
    for part, share in shares.items():
        wanted = share * sum(sizes.values())
        free = [group for group in order if group not in held_out]
        chosen = []
        for group in free:
            if sizes[group] <= wanted:
                chosen.append(group)
                wanted -= sizes[group]
        if not chosen and len(free) > 1:
            chosen = [min(free, key=sizes.__getitem__)]
        held_out |= dict.fromkeys(chosen, part)
    return held_out


def _parts(
    train: list[_Known], taken: set[bytes], held_out: dict[bytes, str], deduplicate: bool
) -> tuple[list[str | None], int, int]:
    """Name each document's part, and count those that are repeated or held out elsewhere.

    What is held out stands there once, however often repeated, and is not trained on, whichever
    group it stands in besides.
    """
    held_out_too = {one.identity for one in train if one.group in held_out}
    seen: set[bytes] = set()
    parts: list[str | None] = []
    repeated = elsewhere = 0
    for one in train:
        part: str | None = held_out.get(one.group, "train")
        away = one.group in taken or one.identity in taken
        if away or (part == "train" and one.identity in held_out_too):
            elsewhere += 1
            part = None
        elif one.identity in seen:
            repeated += 1
            part = None if deduplicate or part != "train" else part
        else:
            seen.add(one.identity)
        parts.append(part)
    return parts, repeated, elsewhere


def _check(config: DataConfig, split: Split, given: dict[str, list[_Known]]) -> None:
    count = {part: split.parts.count(part) + len(given.get(part, ())) for part in PARTS}
    if not count["train"] or not count["eval"]:
        found = f"{count['train']:,} documents to train, {count['eval']:,} to evaluate"
        raise UserError(fault("data", found, "at least one each, different from one another"))
    if _apart(config).count("test") and not count["test"]:
        raise UserError(fault("data.test_files", "no document", "at least one"))
