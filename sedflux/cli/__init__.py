"""The command ``sedflux``."""
