"""Training: simulated examples, pretraining, and export of models."""
