"""Lay out pairs of texts, or texts with a label: each is in one row, and cut at its end only."""

from dataclasses import replace
from typing import Any

import numpy as np

from ugro.config import DataConfig, Packing, TooLong
from ugro.config.training_length import row_length
from ugro.errors import UserError, fault
from ugro.trial.data.layout import (
    PACK,
    Part,
    PartSummary,
    check_lengths,
    digests,
    sample,
    trained_tokens,
)
from ugro.trial.data.packing import Layout, Numbers, unpacked
from ugro.trial.data.tokenization import Examples


def lay_out_units(config: DataConfig, part: str, examples: Examples, known: dict[str, Any]) -> Part:
    """Select the units of a part and lay them out in rows.

    A unit is a text with a label, or a pair of consecutive examples, the chosen and the rejected
    text of a preference. The texts of a pair share a row as packed examples do; each has at most
    the row length, so that the row holds twice as much.
    """
    of_training = part == "train"
    size = row_length(config, of_training)
    texts = 1 if examples.labels.null_count == 0 else 2  # of a unit
    units = np.arange(len(examples) // texts)
    summary = PartSummary(
        known["documents"], 0, 0, 0, 0, unit="pairs" if texts == 2 else "examples"
    )
    limit = getattr(config, f"max_{part}_examples")
    if limit is not None:
        drawn = sample(units, limit, config.split_seed)
        units, summary = drawn, replace(summary, not_drawn=len(units) - len(drawn))
    units, summary = _fit(config, examples, units, texts, size, summary)
    if not len(units):
        raise UserError(fault("data", f"nothing to learn from in the {part} part", "something"))
    pack = PACK[config.packing if of_training else Packing.none]
    packed = pack(_lengths(examples, texts, size), units, texts * size)
    layout = _expanded(packed, examples, texts, size)
    summary = replace(
        summary,
        examples=len(units),
        rows=len(layout),
        tokens=int(layout.lengths.sum()),
        trained=int(trained_tokens(examples, layout).sum()),
    )
    documents, tokens = digests(known, layout, summary, size)
    return Part(examples, layout, summary, known["identity"] if of_training else documents, tokens)


def _fit(
    config: DataConfig,
    examples: Examples,
    units: Numbers,
    texts: int,
    size: int,
    summary: PartSummary,
) -> tuple[Numbers, PartSummary]:
    """Apply ``data.too_long``, and drop units with a text that carries no loss."""
    lengths = examples.lengths.reshape(-1, texts)
    lost = np.maximum(lengths - size, 0).sum(axis=1)
    too_long = units[lost[units] > 0]
    check_lengths(config, lengths[too_long].max(axis=1, initial=0), size)
    if config.too_long is TooLong.drop:
        units = np.setdiff1d(units, too_long)
        dropped = int(lengths[too_long].sum())
        summary = replace(summary, dropped_examples=len(too_long), dropped_tokens=dropped)
    else:
        cut = int(lost[too_long].sum())
        summary = replace(summary, cut_examples=len(too_long), cut_tokens=cut)
    carries = lengths[units, 0] > 0
    if texts == 2:
        every = np.stack([2 * units, 2 * units + 1], axis=1).ravel()
        trained = trained_tokens(examples, unpacked(examples.lengths, every, size))
        carries = (trained.reshape(-1, 2) > 0).all(axis=1)
    return units[carries], replace(summary, untrained=int((~carries).sum()))


def _lengths(examples: Examples, texts: int, size: int) -> Numbers:
    """Return the tokens of each unit, its texts cut to ``size`` tokens, int64 [units]."""
    lengths: Numbers = np.minimum(examples.lengths, size).reshape(-1, texts).sum(axis=1)
    return lengths


def _expanded(layout: Layout, examples: Examples, texts: int, size: int) -> Layout:
    """Return the layout of examples for a layout of units, [rows] alike."""
    pieces = (texts * layout.examples[:, None] + np.arange(texts)).ravel()
    ends = np.minimum(examples.lengths[pieces], size)
    return Layout(texts * layout.rows, pieces, np.zeros_like(pieces), ends)
