"""Compare several studies."""
