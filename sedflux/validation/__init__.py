"""Accuracy and speed: definitions, baselines and the commands that print them."""
