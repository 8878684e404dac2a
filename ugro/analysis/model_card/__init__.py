"""The model card of an exported trial."""
