"""Split documents into a training, an evaluation and a test part."""

import hashlib
import random
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from itertools import repeat

from ugro.config import DataConfig, TaskName
from ugro.config.mixture import members
from ugro.errors import UserError, fault
from ugro.trial.data.documents import Document, Skipped
from ugro.trial.data.reading import location, read, read_separate, separate_parts

PARTS = ("train", "eval", "test")
MIN_TEST_GROUPS = 20  # minimum number of distinct groups for a default test part


@dataclass(frozen=True)
class Split:
    """Assignment of documents to parts, in reading order.

    Attributes:
        parts: part of each document of the training files; None for excluded duplicates, and for
            documents that ``max_examples`` of their set leaves out. A stream is not read here, and
            has none
        repeated: repeated documents in the training files
        also_held_out: documents of the training files excluded because they are held out
        evaluated_and_tested: documents in both evaluation and test files
        near_duplicates: held-out documents that equal a training document in letters and digits
        skipped: malformed records skipped, over all files
        first_skipped: error of the first skipped record
        filtered: records that ``data.filter`` excludes, over all files
        not_drawn: documents that ``max_examples`` of their set leaves out
        held_out: identities and groups of the evaluation and test files, for a training stream
    """

    parts: tuple[str | None, ...] = ()
    repeated: int = 0
    also_held_out: int = 0
    evaluated_and_tested: int = 0
    near_duplicates: int = 0
    skipped: int = 0
    first_skipped: str = ""
    filtered: int = 0
    not_drawn: int = 0
    held_out: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class _DocumentKey:
    """Keys of a document for the split, small enough to hold millions in memory."""

    identity: bytes
    group: bytes
    normalised_digest: bytes
    length: int
    member: int


def split_documents(config: DataConfig, task: TaskName = TaskName.language_modeling) -> Split:
    """Read all documents and assign them to parts.

    The split depends on ``data.split_seed`` and the documents but not on the trial's seed or the
    tokenizer, so that all trials of a study share the evaluation text. Duplicates and documents of
    the same group are never in both training and held-out parts.

    Raises:
        UserError: files or columns are missing, a record is malformed, or a part is empty.
    """
    skipped = Skipped()
    given = {
        part: [*_keys(read_separate(config, part, skipped, task))]
        for part in separate_parts(config)
    }
    separate = [key for part in given.values() for key in part]
    excluded = {key.group for key in separate} | {key.identity for key in separate}
    both = ({key.identity for key in given.get(part, ())} for part in ("eval", "test"))
    evaluated_and_tested = len(set.intersection(*both))
    if config.streaming:
        split = Split(
            evaluated_and_tested=evaluated_and_tested,
            skipped=skipped.count,
            first_skipped=skipped.first,
            filtered=skipped.filtered,
            held_out=frozenset(excluded),
        )
        _check_not_empty(config, split, given)
        return split
    every = [*_keys(read(config, "train", skipped, task))]
    is_drawn = _draw(config, every)
    train = [key for key, drawn in zip(every, is_drawn, strict=True) if drawn]
    kept = [key for key in train if key.group not in excluded and key.identity not in excluded]
    shares = _shares(config, kept)
    held_out = _hold_out(kept, shares, config.split_seed)
    parts, repeated, also_held_out = _parts(train, excluded, held_out, config.deduplicate)
    trained = {
        key.normalised_digest for key, part in zip(train, parts, strict=True) if part == "train"
    }
    separate += [key for key, part in zip(train, parts, strict=True) if part in shares]
    split = Split(
        parts=_of_all(parts, is_drawn),
        repeated=repeated,
        also_held_out=also_held_out,
        evaluated_and_tested=evaluated_and_tested,
        near_duplicates=sum(key.normalised_digest in trained for key in separate),
        skipped=skipped.count,
        first_skipped=skipped.first,
        filtered=skipped.filtered,
        not_drawn=is_drawn.count(False),
    )
    _check(config, split, given)
    return split


def read_part(
    config: DataConfig,
    split: Split,
    part: str,
    task: TaskName = TaskName.language_modeling,
) -> Iterator[Document]:
    """Yield the documents of a part, reading the files again; training documents by weight."""
    if part in separate_parts(config):
        yield from read_separate(config, part, Skipped(), task)
        return
    if config.streaming:  # a stream is not split
        return
    for document, where in zip(read(config, "train", Skipped(), task), split.parts, strict=True):
        if where == part:
            copies = _copies(document, config.split_seed) if part == "train" else 1
            yield from repeat(document, copies)


def _copies(document: Document, seed: int) -> int:
    """Return how often a document is trained on in a pass; fractions are drawn by its content."""
    certain = int(document.weight)
    drawn = hashlib.blake2b(document.identity, key=str(seed).encode(), digest_size=8).digest()
    return certain + (int.from_bytes(drawn) < (document.weight - certain) * 2**64)


def _keys(documents: Iterable[Document]) -> Iterator[_DocumentKey]:
    for document in documents:
        group = document.identity if document.group is None else document.group.encode()
        yield _DocumentKey(
            document.identity,
            group,
            document.normalised_digest,
            document.length,
            document.member,
        )


def _draw(config: DataConfig, keys: list[_DocumentKey]) -> list[bool]:
    """Draw the documents of each set of a mixture up to its limit; a smaller one draws of these."""
    is_drawn = [True] * len(keys)
    for index, member in enumerate(members(config)):
        if member.max_examples is not None:
            own = [place for place, key in enumerate(keys) if key.member == index]
            random.Random(config.split_seed).shuffle(own)
            for place in own[member.max_examples :]:
                is_drawn[place] = False
    return is_drawn


def _of_all(parts: list[str | None], is_drawn: list[bool]) -> tuple[str | None, ...]:
    """Return the part of each document, None for those that were not drawn."""
    left = iter(parts)
    return tuple(next(left) if drawn else None for drawn in is_drawn)


def _shares(config: DataConfig, keys: list[_DocumentKey]) -> dict[str, float]:
    """Return the share of characters of each part to hold out of the training files."""
    own, shares = separate_parts(config), {}
    if "eval" not in own:
        shares["eval"] = config.eval_fraction
    enough = len({key.group for key in keys}) >= MIN_TEST_GROUPS
    if "test" not in own and config.test_fraction and enough:
        shares["test"] = config.test_fraction
    return shares


def _hold_out(keys: list[_DocumentKey], shares: dict[str, float], seed: int) -> dict[bytes, str]:
    """Draw groups at random up to each part's share of characters.

    Groups longer than the remaining share are skipped, so that a single huge group does not consume
    the training part. If all are too long, the shortest is taken.
    """
    sizes: dict[bytes, int] = {}
    for key in keys:
        sizes[key.group] = sizes.get(key.group, 0) + key.length
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
    train: list[_DocumentKey], excluded: set[bytes], held_out: dict[bytes, str], deduplicate: bool
) -> tuple[list[str | None], int, int]:
    """Assign each document to a part; count duplicates and documents held out elsewhere.

    Held-out documents appear once, however often repeated, and are excluded from training even if
    they also belong to another group.
    """
    also_held_out = {key.identity for key in train if key.group in held_out}
    seen: set[bytes] = set()
    parts: list[str | None] = []
    repeated = held_out_elsewhere = 0
    for key in train:
        part: str | None = held_out.get(key.group, "train")
        elsewhere = key.group in excluded or key.identity in excluded
        if elsewhere or (part == "train" and key.identity in also_held_out):
            held_out_elsewhere += 1
            part = None
        elif key.identity in seen:
            repeated += 1
            part = None if deduplicate or part != "train" else part
        else:
            seen.add(key.identity)
        parts.append(part)
    return parts, repeated, held_out_elsewhere


def _check(config: DataConfig, split: Split, given: dict[str, list[_DocumentKey]]) -> None:
    _check_not_empty(config, split, {"train": split.parts, **given})
    count = {part: split.parts.count(part) + len(given.get(part, ())) for part in PARTS}
    if not count["train"] or not count["eval"]:
        found = f"{count['train']:,} documents to train, {count['eval']:,} to evaluate"
        raise UserError(fault("data", found, "at least one each, different from one another"))


def _check_not_empty(config: DataConfig, split: Split, given: Mapping[str, Sized]) -> None:
    for part, documents in given.items():
        if not documents:
            key, where = location(config, part)
            reason = f" (skipped: {split.first_skipped})" if split.skipped else ""
            if split.filtered:
                reason += f" (data.filter left out {split.filtered:,} records)"
            raise UserError(f"{fault(key, where, 'at least one document')}{reason}")
