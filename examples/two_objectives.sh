#!/usr/bin/env bash
# Loss against memory: a Pareto front under a constraint.
set -euo pipefail

python train.py -m hydra/launcher=basic model=tiny search_space=lora_small hydra.sweeper.n_trials=4 \
    training.max_steps=10 study.name=two_objectives objectives=loss_memory objectives.mode=pareto \
    'constraints.expressions=["lora.r <= 16"]'
