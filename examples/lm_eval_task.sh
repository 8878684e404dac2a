#!/usr/bin/env bash
# Searches for the LoRA that answers a task of lm-evaluation-harness best: pip install 'ugro[lm-eval]'
set -euo pipefail

python train.py -m model=tiny hydra/launcher=basic tracking=none study.name=capitals data.block_size=64 \
    metrics=lm_eval 'metrics.lm_eval.tasks=[examples/capitals.yaml]' \
    training.max_steps=4 training.eval_steps=2 training.learning_rate=1e-4,1e-2
ugro analyze study.name=capitals
