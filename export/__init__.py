"""Turns a diffusers checkpoint into a family of models that Triton serves.

`family.export_family` is the way in; `python -m export` is the same from a shell. Offline only: it needs torch and
diffusers, which the serving path does without.
"""

from export import torchvision_operators as torchvision_operators
