"""Answers of a model to prompts."""
