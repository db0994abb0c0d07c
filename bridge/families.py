"""A family of models as the bridge sees it: one checkpoint with its limits and defaults."""

import json
from collections.abc import Container, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bridge.errors import BrokenFamily
from bridge.sizes import Size, SizePolicy, SizeRange


class Capability(StrEnum):
    """What an ensemble of a family makes a picture from."""

    TEXT_TO_IMAGE = "text-to-image"
    IMAGE_TO_IMAGE = "image-to-image"
    INPAINTING = "inpainting"


@dataclass(frozen=True, slots=True)
class Family:
    """One checkpoint, read from its ensemble's parameters in the catalog.

    `ensembles` holds the name of the ensemble for each capability that has one; `capabilities` is what users are told;
    `versions` are all that the repository holds, `version` is the one that makes the pictures;
    `text_encoder_fingerprint` stays the same over exports that leave the text encoder as it is.
    """

    name: str
    version: int
    display_name: str
    description: str
    source: str
    aliases: tuple[str, ...]
    native_size: Size
    sizes: SizeRange
    default_steps: int
    max_steps: int
    default_guidance_scale: float
    max_guidance_scale: float
    default_sampler: str
    samplers: tuple[str, ...]
    capabilities: tuple[str, ...]
    max_prompt_characters: int
    ensembles: Mapping[str, str]
    models: tuple[str, ...]
    versions: tuple[int, ...]
    fingerprint: str
    text_encoder_fingerprint: str

    @property
    def tokenizer(self) -> str:
        """The name of the model that makes ids of prompts."""
        return f"{self.name}_tokenizer"

    @property
    def text_encoder(self) -> str:
        """The name of the model that makes embeddings of ids."""
        return f"{self.name}_text_encoder"

    @property
    def unet(self) -> str:
        """The name of the model that runs the generations and answers control requests."""
        return f"{self.name}_unet"

    @property
    def vae_decoder(self) -> str:
        """The name of the model that makes pixels of latents."""
        return f"{self.name}_vae_decoder"

    def is_in(self, models: Container[str]) -> bool:
        """Tells whether all of the family's ensembles are among the `models`."""
        return all(ensemble in models for ensemble in self.ensembles.values())

    def answers_to(self, model: str) -> bool:
        """Tells whether a client that asks for `model` means this family."""
        names = (self.name, self.display_name, *self.aliases)
        return model.casefold() in {name.casefold() for name in names}


def read_family(entry: Mapping[str, Any]) -> Family:
    """Makes a Family of an entry of the catalog's `families`.

    Raises BrokenFamily, naming the parameter that is absent or not what it should be.
    """
    parameters = _Parameters(str(entry["name"]), entry["parameters"])
    text_encoders = [
        version["fingerprint"]
        for model in entry["models"]
        for version in model["versions"]
        if model["name"] == f"{entry['name']}_text_encoder" and version["version"] == entry["version"]
    ]
    return Family(
        name=str(entry["name"]),
        version=int(entry["version"]),
        display_name=parameters.text("display_name"),
        description=parameters.text("description"),
        source=parameters.text("source"),
        aliases=parameters.texts("aliases"),
        native_size=Size(parameters.integer("native_width"), parameters.integer("native_height")),
        sizes=SizeRange(
            parameters.integer("min_size"),
            parameters.integer("max_size"),
            parameters.integer("size_multiple"),
            parameters.size_policy("size_policy"),
        ),
        default_steps=parameters.integer("default_steps"),
        max_steps=parameters.integer("max_steps"),
        default_guidance_scale=parameters.number("default_guidance_scale"),
        max_guidance_scale=parameters.number("max_guidance_scale"),
        default_sampler=parameters.text("default_sampler"),
        samplers=parameters.texts("samplers"),
        capabilities=parameters.texts("capabilities"),
        max_prompt_characters=parameters.integer("max_prompt_characters"),
        ensembles=dict(entry["ensembles"]),
        models=tuple(model["name"] for model in entry["models"]),
        versions=tuple(sorted({version["version"] for model in entry["models"] for version in model["versions"]})),
        fingerprint=str(entry["fingerprint"]),
        text_encoder_fingerprint=str(text_encoders[0] if text_encoders else entry["fingerprint"]),
    )


class _Parameters:
    """Reads typed values from the string parameters of one family."""

    def __init__(self, family: str, values: Mapping[str, str]) -> None:
        self._family = family
        self._values = values

    def text(self, key: str) -> str:
        try:
            return self._values[key]
        except KeyError:
            raise BrokenFamily(f"The family {self._family} has no parameter `{key}`.") from None

    def integer(self, key: str) -> int:
        text = self.text(key)
        if not text.isdecimal() or int(text) == 0:
            raise self._broken(key, "a whole number above 0")
        return int(text)

    def number(self, key: str) -> float:
        try:
            return float(self.text(key))
        except ValueError:
            raise self._broken(key, "a number") from None

    def texts(self, key: str) -> tuple[str, ...]:
        try:
            values = json.loads(self.text(key))
        except json.JSONDecodeError:
            values = None
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise self._broken(key, "a JSON list of strings")
        return tuple(values)

    def size_policy(self, key: str) -> SizePolicy:
        try:
            return SizePolicy(self.text(key))
        except ValueError:
            raise self._broken(key, " or ".join(SizePolicy)) from None

    def _broken(self, key: str, wanted: str) -> BrokenFamily:
        return BrokenFamily(
            f"The parameter `{key}` of the family {self._family} is {self._values[key]!r}; it must be {wanted}."
        )
