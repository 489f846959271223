"""Accuracy and speed: definitions, baselines, and the studies that ``sedflux validate`` runs."""
