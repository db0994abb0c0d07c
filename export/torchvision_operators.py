"""Lets torchvision be imported beside a torch without CUDA.

spandrel brings torchvision, which is on PyPI for CUDA only. Beside a CPU build of torch its operators don't load, and
it then fails to be imported (0.28), and with it transformers, which imports it wherever it is installed: it describes
two of the operators without asking whether they are there. Declaring these two is enough; nothing here calls them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from types import ModuleType

_OPERATORS = ("nms", "qnms")
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


class OperatorDeclaration(MetaPathFinder):
    """Declares the operators when torchvision is about to be imported; finds nothing itself."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """None always: others find the module."""
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            if version("torch").endswith("+cpu") and not version("torchvision").endswith("+cpu"):
                _declare()
        return None


def _declare() -> None:
    import torch

    for name in _OPERATORS:
        torch.library.define(f"torchvision::{name}", _SIGNATURE)


sys.meta_path.insert(0, OperatorDeclaration())
