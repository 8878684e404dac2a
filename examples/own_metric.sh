#!/usr/bin/env bash
# Searches for the LoRA whose answers a judge grades best; set JUDGE_URL to ask a real one.
set -euo pipefail

python train.py -m model=tiny hydra/launcher=basic tracking=none study.name=judged \
    data=jsonl 'data.train_files=[examples/questions.jsonl]' data.block_size=64 \
    'metrics.judge={function: examples.my_metrics.judge, max_new_tokens: 16, examples: 8}' \
    training.max_steps=4 training.eval_steps=2 training.learning_rate=1e-4,1e-2
ugro analyze study.name=judged
