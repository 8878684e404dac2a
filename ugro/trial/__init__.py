"""Run a single trial: base model, adapter, data, training. Imports no Optuna, Ray or MLflow."""

import logging

# bitsandbytes and torchao warn about missing kernels when peft and transformers import them, and
# about each product of LLM.int8(); torch warns about how torchao registers its enums.
for _library in ("bitsandbytes", "torchao", "torch.utils._pytree"):
    logging.getLogger(_library).setLevel(logging.ERROR)
