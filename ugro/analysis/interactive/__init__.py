"""What can be seen of a study by pointing at it? Figures of the report, a module a figure."""
