#!/usr/bin/env bash
# A first sweep in seconds: a random model, four trials, then the commands for its results.
set -euo pipefail

python train.py -m model=tiny search_space=lora_small hydra.sweeper.n_trials=4 \
    training.max_steps=10 study.name=first_sweep

ugro analyze study.name=first_sweep
ugro audit study.name=first_sweep
ugro reproduce study.name=first_sweep trial=0

# Retrain the best configuration.
python train.py --config-dir multirun/first_sweep experiment=best
