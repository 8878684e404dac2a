"""Spare a forked command's garbage collector the modules that were imported before."""

import gc

gc.freeze()
