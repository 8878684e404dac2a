"""Measure rows to rendered and tokenised examples beside ``datasets.map``.

Records of about 200 tokens, or conversations of two messages as long, in a JSONL file. Both sides
read it and write tokens and target masks to Arrow files in an empty cache, with SmolLM2's
tokenizer, in a process of their own with a single thread. UGRO prepares the data of a trial: it
also splits them, finds duplicates and digests what it wrote. ``datasets`` loads the file and maps a
function over batches. The sides alternate, so that other load affects both; a ratio is the median
of the rounds.

    python -m benchmarks.render_and_tokenise [RECORDS] [ROUNDS]
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.prepare_data import TOKENS, WORDS, smollm2

KINDS = ("records", "conversations")
SIDES = ("datasets", "ugro")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def main(count: int, rounds: int) -> None:
    """Print a table row per kind of data."""
    print("| data | records | datasets.map: s | CPU s | UGRO: s | CPU s | ratio | of CPU |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for kind in KINDS:
        taken: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
        with tempfile.TemporaryDirectory() as made:
            rows = Path(made) / "rows.jsonl"
            write(rows, kind, count)
            found = [_run(side, kind, rows) for _ in range(rounds) for side in SIDES]
        for side, (seconds, processor, _) in zip(SIDES * rounds, found, strict=True):
            taken[side].append((seconds, processor))
        tokens = {number for _, _, number in found}
        assert max(tokens) - min(tokens) <= count, f"not the same examples: {tokens} tokens"
        medians = [
            [statistics.median(one) for one in zip(*taken[side], strict=True)] for side in SIDES
        ]
        ratios = [
            statistics.median(
                own[which] / peers[which]
                for peers, own in zip(taken["datasets"], taken["ugro"], strict=True)
            )
            for which in (0, 1)
        ]
        cells = [f"{value:.2f}" for value in (*chain.from_iterable(medians), *ratios)]
        print(f"| {kind} | {count:,} | {' | '.join(cells)} |", flush=True)


def write(path: Path, kind: str, count: int) -> None:
    """Write distinct records of about ``TOKENS`` tokens."""
    draw = random.Random(0)
    with path.open("w") as file:
        for number in range(count):
            halves = [" ".join(draw.choices(WORDS, k=TOKENS // 2)) for _ in range(2)]
            question, answer = f"{number}: {halves[0]}", f" {halves[1]}"
            row: dict[str, Any] = {"prompt": question, "completion": answer}
            if kind == "conversations":
                row = {
                    "messages": [
                        {"role": "user", "content": question},
                        {"role": "assistant", "content": answer},
                    ]
                }
            file.write(json.dumps(row) + "\n")


def _run(side: str, kind: str, rows: Path) -> tuple[float, float, float]:
    """Measure one side in a process of its own: seconds, processor seconds, tokens."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, **ONE_THREAD, "HF_DATASETS_CACHE": cache}
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.render_and_tokenise"]
        printed = subprocess.run(
            [*command, "--alone", side, kind, str(rows), cache],
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        ).stdout
    seconds, processor, tokens = map(float, printed.split()[-3:])
    return seconds, processor, tokens


def alone(side: str, kind: str, rows: Path, cache: Path) -> None:
    """Prepare the data once and print the measurements."""
    tokenizer = smollm2()
    tokenizer(["warm up"])
    prepare = with_ugro if side == "ugro" else with_datasets
    prepare(tokenizer, kind, rows, cache, warm_up=True)  # imports and the template's compilation
    wall, processor = time.perf_counter(), time.process_time()
    tokens = prepare(tokenizer, kind, rows, cache)
    print(time.perf_counter() - wall, time.process_time() - processor, tokens)


def with_ugro(tokenizer: Any, kind: str, rows: Path, cache: Path, warm_up: bool = False) -> int:
    """Prepare as a trial does; return the number of tokens."""
    from ugro.config import DataConfig, Packing, Source
    from ugro.trial.data.preparation import prepare

    config = DataConfig(
        Source.jsonl,
        train_files=[str(_first_rows(rows) if warm_up else rows)],
        eval_fraction=0.1,
        split_seed=0,
        block_size=1024,
        packing=Packing.bfd,
    )
    data = prepare(config, tokenizer, cache)
    parts = (data.train, data.evaluation, data.test)
    return sum(int(part.examples.lengths.sum()) for part in parts if part is not None)


def with_datasets(tokenizer: Any, kind: str, rows: Path, cache: Path, warm_up: bool = False) -> int:
    """Load and map as a training script does; return the number of tokens."""
    import datasets

    def tokenise(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        if kind == "records":
            prompts = batch["prompt"]
            texts = [one + other for one, other in zip(prompts, batch["completion"], strict=True)]
        else:
            texts = [tokenizer.apply_chat_template(m, tokenize=False) for m in batch["messages"]]
            prompts = [
                tokenizer.apply_chat_template(m[:-1], tokenize=False, add_generation_prompt=True)
                for m in batch["messages"]
            ]
        encoded = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
        end = [tokenizer.eos_token_id] if kind == "records" else []
        masks = [
            [start >= len(prompt) for start, _ in offsets] + [True] * len(end)
            for prompt, offsets in zip(prompts, encoded["offset_mapping"], strict=True)
        ]
        return {"input_ids": [ids + end for ids in encoded["input_ids"]], "mask": masks}

    file = _first_rows(rows) if warm_up else rows
    loaded = datasets.load_dataset("json", data_files=str(file), split="train")
    made = loaded.map(tokenise, batched=True, remove_columns=loaded.column_names)
    return sum(len(chunk.values) for chunk in made.data.column("input_ids").chunks)


def _first_rows(rows: Path) -> Path:
    """Return a file with the first rows, for warming up."""
    few = rows.with_suffix(".few.jsonl")
    few.write_text("".join(rows.read_text().splitlines(keepends=True)[:50]))
    return few


if __name__ == "__main__":
    if sys.argv[1:2] == ["--alone"]:
        alone(sys.argv[2], sys.argv[3], Path(sys.argv[4]), Path(sys.argv[5]))
    else:
        main(int((sys.argv[1:2] or ["20000"])[0]), int((sys.argv[2:3] or ["5"])[0]))
