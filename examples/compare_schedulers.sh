#!/usr/bin/env bash
# The same search with and without early stopping, side by side.
set -euo pipefail

for scheduler in none asha; do
    python train.py -m hydra/launcher=basic model=tiny search_space=lora_small hydra.sweeper.n_trials=4 \
        training.max_steps=16 training.eval_steps=0.25 \
        scheduler=$scheduler study.name=with_$scheduler
done
ugro compare study=[with_none,with_asha]
