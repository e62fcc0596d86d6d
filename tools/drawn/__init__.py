"""Drawn pictures of surfaces, good and defective, by seed alone; see ../synthetic_surfaces.py."""
