"""What the library tells: use, experiments, preferences and which model does best."""
