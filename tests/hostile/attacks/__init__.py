"""One module per family; each declares ``ATTACKS``."""
