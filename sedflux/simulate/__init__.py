"""Simulated fields of stars, for tests and for the planning of calibrations."""
