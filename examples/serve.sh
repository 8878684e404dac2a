#!/usr/bin/env bash
# From a study to a model that others can use; serve.md has the servers. CONVERTER is the path of
# llama.cpp's convert_hf_to_gguf.py, if there is one.
set -euo pipefail

python train.py -m hydra/launcher=basic model=tiny data=jsonl 'data.train_files=[examples/questions.jsonl]' \
    search_space=lora_small hydra.sweeper.n_trials=2 training.max_steps=10 study.name=serve

ugro try study.name=serve "What is the capital of France?" max_new_tokens=8
ugro export study.name=serve to=served/adapter format=adapter
ugro export study.name=serve to=served/merged format=merged dtype=bf16
if [[ -n "${CONVERTER:-}" ]]; then
    ugro export study.name=serve to=served/mine format=gguf dtype=fp16 converter="$CONVERTER"
fi
