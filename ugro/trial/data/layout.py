"""Lay out the training, evaluation or test part of the data in rows."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ugro.config import DataConfig, Packing, TooLong
from ugro.config.training_length import row_length
from ugro.errors import UserError, fault
from ugro.trial.data.packing import Layout, Numbers, bfd, unpacked, windows, wrapped
from ugro.trial.data.tokenization import Examples

PACK = {Packing.bfd: bfd, Packing.wrapped: wrapped, Packing.none: unpacked}


@dataclass(frozen=True)
class PartSummary:
    """Counts of a part's documents, examples and tokens.

    Attributes:
        documents: documents read
        examples: examples, or pairs, in the layout
        rows: rows of tokens
        tokens: tokens in the rows, without padding
        trained: target tokens in the rows
        cut_examples: examples truncated to the row length
        cut_tokens: tokens lost by truncation
        dropped_examples: examples dropped because they exceed the row length
        dropped_tokens: tokens lost with dropped examples
        untrained: units dropped because they have no target token
        not_drawn: units beyond ``data.max_*_examples``
        unit: ``examples``, ``pairs`` of a preference, or ``rows`` for running text and wrapped
            packing
    """

    documents: int
    examples: int
    rows: int
    tokens: int
    trained: int
    cut_examples: int = 0
    cut_tokens: int = 0
    dropped_examples: int = 0
    dropped_tokens: int = 0
    untrained: int = 0
    not_drawn: int = 0
    unit: str = "examples"


@dataclass(frozen=True)
class Part:
    """The training, evaluation or test part of the data.

    Attributes:
        examples: tokenised examples
        layout: rows of the used tokens
        summary: counts of documents, examples and tokens
        documents: digest of the documents. For held-out parts it also covers the used selection;
            it is independent of tokenizer and row length unless examples are cut or dropped
        tokens: digest of all tokens and target masks in all rows
    """

    examples: Examples
    layout: Layout
    summary: PartSummary
    documents: str
    tokens: str


def lay_out(config: DataConfig, part: str, examples: Examples, known: dict[str, Any]) -> Part:
    """Select the examples of a part and lay them out in rows."""
    of_training = part == "train"
    size = row_length(config, of_training)
    limit = getattr(config, f"max_{part}_examples")
    by_row = (config.packing is Packing.wrapped) if of_training else bool(examples.running.any())
    summary = PartSummary(known["documents"], len(examples), 0, 0, 0)
    chosen = np.arange(len(examples))
    if limit is not None and not by_row:
        chosen = sample(chosen, limit, config.split_seed)
        summary = replace(summary, not_drawn=len(examples) - len(chosen))
    limited = chosen if of_training and not by_row else chosen[~examples.running[chosen]]
    if not (of_training and by_row):
        chosen, summary = _fit(config, examples, chosen, limited, size, summary)
    layout = _layout(config, examples, chosen, size, of_training)
    trained = trained_tokens(examples, layout)
    kept = np.flatnonzero(trained)
    if by_row:
        untrained = summary.untrained + len(layout) - len(kept)
        not_drawn = 0 if limit is None else max(0, len(kept) - limit)
        summary = replace(summary, unit="rows", untrained=untrained, not_drawn=not_drawn)
        kept = kept if limit is None else sample(kept, limit, config.split_seed)
    if not len(kept):
        cut = f" ({summary.cut_examples:,} examples are cut to {size} tokens)"
        given = f"no token of the {part} part carries loss{cut if summary.cut_examples else ''}"
        raise UserError(fault("data", given, "some that do"))
    layout = layout.select(kept)
    summary = replace(
        summary,
        examples=len(np.unique(layout.examples)),
        rows=len(layout),
        tokens=int(layout.lengths.sum()),
        trained=int(trained[kept].sum()),
    )
    documents, tokens = digests(known, layout, summary, size)
    return Part(examples, layout, summary, known["identity"] if of_training else documents, tokens)


def _fit(
    config: DataConfig,
    examples: Examples,
    chosen: Numbers,
    limited: Numbers,
    size: int,
    summary: PartSummary,
) -> tuple[Numbers, PartSummary]:
    """Apply ``data.too_long`` to the ``limited`` examples and drop examples without targets."""
    too_long = limited[examples.lengths[limited] > size]
    lost = int((examples.lengths[too_long] - size).sum())
    check_lengths(config, examples.lengths[too_long], size)
    if config.too_long is TooLong.drop:
        chosen = np.setdiff1d(chosen, too_long)
        dropped = int(examples.lengths[too_long].sum())
        summary = replace(summary, dropped_examples=len(too_long), dropped_tokens=dropped)
    elif len(too_long):
        summary = replace(summary, cut_examples=len(too_long), cut_tokens=lost)
    trained = trained_tokens(examples, unpacked(examples.lengths, chosen, size))
    summary = replace(summary, untrained=int((trained == 0).sum()))
    return chosen[trained > 0], summary


def check_lengths(config: DataConfig, too_long: Numbers, size: int) -> None:
    """Refuse examples longer than ``size`` tokens, of these lengths, if the data must have none.

    Raises:
        UserError: there are some, and ``data.too_long`` is ``error``.
    """
    if len(too_long) and config.too_long is TooLong.error:
        longest = int(too_long.max())
        given = f"{len(too_long)} examples longer than {size} tokens, the longest {longest}"
        key = "block_size" if size == config.block_size else "eval_block_size"
        raise UserError(fault("data.too_long=error", given, f"data.{key}={longest} or more"))


def _layout(
    config: DataConfig, examples: Examples, chosen: Numbers, size: int, of_training: bool
) -> Layout:
    if of_training:
        return PACK[config.packing](examples.lengths, chosen, size)
    running = chosen[examples.running[chosen]]
    records = chosen[~examples.running[chosen]]
    both = (unpacked(examples.lengths, records, size), windows(examples.lengths, running, size))
    return both[0].then(both[1])


def trained_tokens(examples: Examples, layout: Layout) -> Numbers:
    """Count the target tokens of each row, without each piece's first token, int64 [rows]."""
    uncut = (layout.starts == 0) & (layout.ends == examples.lengths[layout.examples])
    counts = np.where(uncut, examples.trained[layout.examples], 0)
    for piece in np.flatnonzero(~uncut):
        example, start, end = layout.examples[piece], layout.starts[piece], layout.ends[piece]
        counts[piece] = np.count_nonzero(examples.kinds(int(example), int(start) + 1, int(end)))
    return np.add.reduceat(counts, layout.rows[:-1]) if len(layout) else counts


def sample(of: Numbers, limit: int, seed: int) -> Numbers:
    """Sample at most ``limit`` elements, preserving their order."""
    if len(of) <= limit:
        return of
    return np.sort(np.random.default_rng(seed).choice(of, limit, replace=False))


def digests(
    known: dict[str, Any], layout: Layout, summary: PartSummary, size: int
) -> tuple[str, str]:
    """Digest the documents with their used selection, and the tokens of all rows."""
    tokens = hashlib.blake2b(known["fingerprint"].encode(), digest_size=16)
    for array in (layout.rows, layout.examples, layout.starts, layout.ends):
        tokens.update(np.ascontiguousarray(array, dtype=np.int64).tobytes())
    some = summary.cut_examples or summary.dropped_examples or summary.not_drawn
    documents = hashlib.blake2b(known["identity"].encode(), digest_size=16)
    if some:  # the selection depends on the tokens
        documents.update(tokens.digest())
    elif (layout.starts > 0).any():  # complete text, but in windows with other contexts
        documents.update(str(size).encode())
    return documents.hexdigest(), tokens.hexdigest()
