"""Simulated fields of stars, to test and to plan calibrations."""
