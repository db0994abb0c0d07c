"""What the configs of a checkpoint's components must say for it to be exported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from export.errors import IncompleteCheckpoint, UnsupportedCheckpoint
from export.pipelines import PipelineKind

# Keys that would need further inputs or other arithmetic, where they are set.
_UNET_EXTRAS: Final = ("class_embed_type", "num_class_embeds", "encoder_hid_dim_type")
_VAE_EXTRAS: Final = ("latents_mean", "latents_std", "shift_factor")


def check_components(index: Mapping[str, Any], kind: PipelineKind, name: str) -> None:
    """Raises IncompleteCheckpoint or UnsupportedCheckpoint for a component that is missing or of another class."""
    for component, classes in kind.components.items():
        entry = index.get(component)
        actual = entry[1] if isinstance(entry, list) and len(entry) == 2 else None
        if actual is None:
            raise IncompleteCheckpoint(f"The checkpoint {name!r} has no {component}; it is incomplete.")
        if classes and actual not in classes:
            raise UnsupportedCheckpoint(
                f"The checkpoint's {component} is a {actual}; only {' and '.join(classes)} can be exported."
            )
        if Path(name).is_dir() and not (Path(name) / component).is_dir():
            raise IncompleteCheckpoint(f"The checkpoint {name!r} lacks the folder {component!r}; it is incomplete.")


def check_unet(config: Mapping[str, Any], kind: PipelineKind) -> None:
    """Raises UnsupportedCheckpoint, naming the key, for a UNet that takes what the engine does not feed."""
    _refuse_set(config, "unet", _UNET_EXTRAS)
    if config.get("addition_embed_type") != kind.addition_embed_type:
        raise UnsupportedCheckpoint(
            f"The checkpoint's unet sets addition_embed_type to {config.get('addition_embed_type')!r}; "
            f"with a {kind.pipeline.__name__} only {kind.addition_embed_type!r} can be exported."
        )


def check_vae(config: Mapping[str, Any]) -> None:
    """Raises UnsupportedCheckpoint, naming the key, for a VAE with other latents than a scaling factor makes."""
    _refuse_set(config, "vae", _VAE_EXTRAS)


def _refuse_set(config: Mapping[str, Any], component: str, keys: tuple[str, ...]) -> None:
    for key in keys:
        if config.get(key) is not None:
            raise UnsupportedCheckpoint(
                f"The checkpoint's {component} sets {key} to {config[key]!r}, which the server does not implement; "
                "export a checkpoint without it."
            )
