"""The systems in plain PyTorch, over the authors' own names; see ../dump_reference.py."""
