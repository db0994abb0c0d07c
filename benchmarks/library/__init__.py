"""Measures the image library, and breaks it."""
