"""Search spaces: parsing, composition of trial configurations, feasibility and validation."""
