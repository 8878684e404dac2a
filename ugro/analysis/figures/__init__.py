"""Figures of a study: data prepared once, drawn once with plotly; a module per figure."""
