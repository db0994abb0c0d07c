"""For all tests."""

import os

# The Hub's client asks again and again where it has no network, for half a minute.
os.environ["HF_HUB_OFFLINE"] = "1"

import export as export  # what it does for torchvision must come before diffusers is imported
