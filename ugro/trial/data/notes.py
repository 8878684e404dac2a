"""What a trial says about omitted or questionable data."""

from collections.abc import Iterator
from typing import Any

from ugro.config import DataConfig
from ugro.config.training_length import row_length
from ugro.formatting import counted
from ugro.trial.data.layout import PartSummary
from ugro.trial.data.split import PARTS


def notes(
    config: DataConfig, summary: dict[str, Any], parts: dict[str, PartSummary]
) -> Iterator[str]:
    """Yield a sentence for each kind of omitted or questionable data."""
    for name, part in parts.items():
        size = row_length(config, of_training=name == "train")
        limit = "eval" if name not in PARTS else name
        whole = "pairs" if part.unit == "pairs" else "examples"
        for count, unit, said in (
            (part.cut_examples, whole, f"cut to {size} tokens, {part.cut_tokens:,} are lost"),
            (
                part.dropped_examples,
                whole,
                f"longer than {size} tokens dropped, {part.dropped_tokens:,} tokens",
            ),
            (part.untrained, part.unit, "left out, where no token carries loss"),
            (part.not_drawn, part.unit, f"not used, by data.max_{limit}_examples"),
        ):
            if count:
                yield f"{name}: {counted(count, unit.removesuffix('s'))} {said}"
        if straddling := summary["parts"][name]["straddling"]:
            yield (
                f"{name}: {counted(straddling, 'example')} with a token across the border of prompt"
                " and completion; at inference the prompt ends there: end prompts without a space"
            )
    if config.streaming:
        read = counted(summary["parts"]["train"]["documents"], "training document")
        yield f"{read} read, which training.max_tokens needs; data.streaming reads no further"
    if config.sets and (added := summary["added_by_weights"]):
        change = "repeated" if added > 0 else "left out"
        yield f"{counted(abs(added), 'training document')} {change} by the weights of data.sets"
    if summary["not_drawn"]:
        left_out = counted(summary["not_drawn"], "document")
        yield f"{left_out} left out by max_examples of data.sets"
    if summary["filtered"]:
        yield f"{counted(summary['filtered'], 'record')} left out by data.filter"
    if summary["skipped"]:
        skipped = counted(summary["skipped"], "malformed record")
        yield f"{skipped} skipped, the first: {summary['first_skipped']}"
    if summary["repeated"]:
        how = "used once" if config.deduplicate else "trained on each time they occur"
        yield f"{counted(summary['repeated'], 'repeated record')}, {how}"
    if summary["also_held_out"]:
        left_out = counted(summary["also_held_out"], "training record")
        yield f"{left_out} left out: also held out"
    if summary["evaluated_and_tested"]:
        yield f"{counted(summary['evaluated_and_tested'], 'test document')} evaluated on as well"
    if summary["near_duplicates"]:
        near = counted(summary["near_duplicates"], "held-out document")
        yield f"{near} equal to a training document except for punctuation, spaces or case"
    if "test" not in parts:
        yield "no test part: set data.test_fraction or data.test_files"
