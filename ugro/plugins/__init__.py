"""Classes that ``conf/`` names: Hydra's sweeper, launcher and callbacks."""
