"""Who watches a study? Each observer knows the events and nothing else of UGRO."""
