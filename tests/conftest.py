"""For all tests."""

import export as export  # what it does for torchvision must come before diffusers is imported
