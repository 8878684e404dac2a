"""What stands on the report's page besides its figures? Words, tables, and the page itself."""
