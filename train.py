"""Train one LoRA, or sweep with ``-m``: the same as ``ugro train`` and ``ugro sweep``.

    python train.py lora.r=16                 # one LoRA
    python train.py -m lora.r=8,16            # a sweep
    python train.py --help                    # groups and keys

``ugro/cli/train.py`` holds the steps: compose, validate, run, return the objective.
"""

from ugro.cli.train import main

if __name__ == "__main__":
    main()
