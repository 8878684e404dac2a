"""The report: one HTML page with figures, tables and answers."""
