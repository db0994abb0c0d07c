"""Checkpoints of real size: made of random weights, painted with torch, and run in processes that are measured."""
