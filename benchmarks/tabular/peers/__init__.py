"""How do others search? Each by its own documentation, on the clock that simulated sweeps have."""
