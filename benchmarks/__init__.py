"""Measurements: speed against baselines and limits, and how well pictures follow their prompts."""
