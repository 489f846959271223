"""The network, its losses and its files: the only place that needs torch at run time."""
