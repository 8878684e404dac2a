"""Where do trials run? In this process or on Ray; each slot runs one at a time."""
