"""Pre-train a small Llama from scratch on Python's standard library.

    OMP_NUM_THREADS=1 python -m benchmarks.tabular.pretrain FOLDER [--steps N]

It has 2.7 million parameters without embeddings and a vocabulary of its own (4,096 byte pairs).
A thousand steps, half a pass over the texts, take about eight minutes of a core. FOLDER is written
by ``save_pretrained``: ``model=local model.path=FOLDER`` searches on it.

A fine-tuned run takes seconds of a core, so that tables of real learning curves can be recorded
anywhere, and the model has learnt something, unlike model=tiny.
"""

import argparse
import math
from pathlib import Path

import torch
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
    set_seed,
)

from .data import pretraining_texts

END, PAD = "<|end|>", "<|pad|>"
VOCABULARY = 4096
BLOCK = 128  # tokens
BATCH = 8  # blocks; small, as a small model learns more from many updates
STEPS = 1000
HELD_OUT = 64  # blocks that are only measured
SEED = 0


def main(folder: Path, steps: int) -> None:
    """Train and save the model, and print its held-out loss."""
    texts = pretraining_texts()
    tokenizer = bpe_tokenizer(texts)
    blocks = tokenised_blocks(texts, tokenizer)
    data = Dataset.from_dict({"input_ids": blocks}).train_test_split(HELD_OUT, seed=SEED)
    set_seed(SEED)
    model = small_llama(tokenizer)
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=BATCH,
        per_device_eval_batch_size=BATCH,
        max_steps=steps,
        learning_rate=2e-3,
        lr_scheduler_type="cosine",
        warmup_steps=50,
        weight_decay=0.1,
        adam_beta2=0.95,
        logging_steps=50,
        eval_steps=200,
        eval_strategy="steps",
        save_strategy="no",
        report_to="none",
        seed=SEED,
    )
    trainer = Trainer(model, arguments, _with_labels, data["train"], data["test"])
    trainer.train()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    loss = trainer.evaluate()["eval_loss"]
    print(f"{len(blocks):,} blocks; held-out loss {loss:.3f}, untrained {math.log(VOCABULARY):.3f}")


def bpe_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=PAD)


def tokenised_blocks(texts: list[str], tokenizer: PreTrainedTokenizerFast) -> list[list[int]]:
    """Concatenate the documents, an end token after each, and cut them into blocks."""
    tokens: list[int] = []
    for ids in tokenizer(texts)["input_ids"]:
        tokens += [*ids, tokenizer.eos_token_id]
    return [tokens[at : at + BLOCK] for at in range(0, len(tokens) - BLOCK + 1, BLOCK)]


def small_llama(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Return an untrained Llama of 2.7 million parameters, not counting embeddings."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=192,
            intermediate_size=512,
            num_hidden_layers=6,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def _with_labels(examples: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    tokens = torch.tensor([example["input_ids"] for example in examples])
    return {"input_ids": tokens, "labels": tokens}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tabular.pretrain")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS)
    asked = parser.parse_args()
    main(asked.folder, asked.steps)
