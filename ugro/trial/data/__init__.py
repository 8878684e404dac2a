"""Data of a trial: documents, split, tokenised examples, rows."""
