"""Analyse a study: tables, findings, figures, report. Imports neither Ray nor torch."""
