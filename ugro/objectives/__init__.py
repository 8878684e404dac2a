"""Objectives and constraints of a study, and the expression language of constraints."""
