"""Training of EdgeZSAD models; see ../train_edgezsad.py."""
