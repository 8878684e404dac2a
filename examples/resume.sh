#!/usr/bin/env bash
# Extend a finished study: the same command with a larger total.
set -euo pipefail

sweep=(python train.py -m hydra/launcher=basic model=tiny search_space=lora_small training.max_steps=10
    study.name=resume)
"${sweep[@]}" hydra.sweeper.n_trials=2
"${sweep[@]}" hydra.sweeper.n_trials=4
