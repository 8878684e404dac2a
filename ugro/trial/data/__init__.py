"""Prepare the data of a trial: documents, split, tokenised examples, packed rows."""
