"""Metrics of a model beside its loss, on held-out examples and on tasks of their own."""
