"""Peer methods, configured as documented, on the clock of simulated sweeps.

Each class names the page that its settings are from. The space is passed as that library would have
it written: in logarithms, and choices of numbers as ordered ones, where it has such types.

A diverged trial is treated alike for all: it ends at the first loss that is not finite or exceeds
twice the untrained model's, which is UGRO's ``stoppers.divergence_factor``, and its loss is then
the worst finite one so far, which UGRO's Gaussian process is told as well. Reported as an error it
would teach most libraries nothing, so that they propose its like again. Where a library's
documentation names a means that teaches it the same, that is used: Optuna's pruning at NaN, SMAC's
status of a crash.
"""
