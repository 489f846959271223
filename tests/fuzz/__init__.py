"""Hostile inputs: a small suite for every test run, and `python -m tests.fuzz` for long ones."""
