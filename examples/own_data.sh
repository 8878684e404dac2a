#!/usr/bin/env bash
# Your own records: check the data without training, then search. Replace model=tiny by a real model.
set -euo pipefail

sweep=(python train.py -m hydra/launcher=basic model=tiny data=jsonl 'data.train_files=[examples/questions.jsonl]'
    search_space=lora_small hydra.sweeper.n_trials=3 training.max_steps=10 study.name=own_data)
"${sweep[@]}" study.dry_run=true
"${sweep[@]}"
