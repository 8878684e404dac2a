"""What came out of a study? Tables, figures, report; nothing here knows Ray or torch."""
