"""What does a study look like? PNG figures for papers and talks, a module a figure."""

from ugro.analysis.pictures.gallery import write_pictures

__all__ = ["write_pictures"]
