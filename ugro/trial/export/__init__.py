"""A trial's model as others load it: adapter, merged weights, GGUF file."""
