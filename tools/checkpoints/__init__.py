"""The authors' checkpoints, read and brought to the form of a model file; see ../convert_weights.py."""
