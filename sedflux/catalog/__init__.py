"""Predictions for millions of spectra: sources, shards that land exactly once, and results."""
