"""The ensembles of a family: one for each way to make a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tritonclient.grpc.model_config_pb2 import ModelConfig

from export.family_parameters import Capability, FamilyParameters
from export.model_configs import MAX_BATCH_SIZE, set_parameters
from export.tensors import IMAGE, INFO, INIT_IMAGE, LATENT_MASK, MASK, PROMPTS, SETTINGS, SIZES, STRENGTH, declare


@dataclass(frozen=True, slots=True)
class _Ensemble:
    """How an ensemble is called, behind the family's name, and which part of the family encodes its INIT_IMAGE.

    `encoder_inputs` map the encoder's inputs to the ensemble's, `unet_inputs` the UNet's to the encoder's outputs.
    """

    ending: str
    encoder: str = ""
    encoder_inputs: Mapping[str, str] = field(default_factory=dict)
    unet_inputs: Mapping[str, str] = field(default_factory=dict)
