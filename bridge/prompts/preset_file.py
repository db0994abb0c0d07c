"""One YAML file of presets, read and validated."""

import unicodedata
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from bridge.prompts.errors import InvalidPresets


def _printable(text: str) -> str:
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError("must be one line without control characters")
    return text


Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
Phrase = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_printable)
]


class _Strict(BaseModel):
    # A misspelt key is an error, not a preset that silently does less.
    model_config = ConfigDict(extra="forbid", frozen=True)


class PresetEntry(_Strict):
    """The phrases of a quality or a template."""

    before: tuple[Phrase, ...] = ()
    after: tuple[Phrase, ...] = ()
    negative: tuple[Phrase, ...] = ()


class StyleEntry(PresetEntry):
    """The phrases of a style, and the words by which an earlier turn asks for it."""

    wishes: tuple[Phrase, ...] = ()


class ArmEntry(_Strict):
    """One arm of an experiment; without a template it leaves prompts as they are."""

    template: Name | None = None
    weight: Annotated[float, Field(gt=0, le=1000)] = 1.0


class ExperimentEntry(_Strict):
    """An experiment with requests of one style, or without any."""

    style: Name | None = None
    arms: Annotated[dict[Name, ArmEntry], Field(min_length=2)]


class PresetFile(_Strict):
    """Presets for every family, or where `family` (an id, name or alias) is given, for that one."""

    family: str = ""
    styles: dict[Name, StyleEntry] = {}
    qualities: dict[Name, PresetEntry] = {}
    templates: dict[Name, PresetEntry] = {}
    experiments: dict[Name, ExperimentEntry] = {}


def read_preset_file(path: Path) -> PresetFile:
    """Reads and validates one file. Raises InvalidPresets, naming the file and what is wrong where."""
    try:
        document = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise InvalidPresets(f"The presets {path} cannot be read: {' '.join(str(error).split())}") from error
    try:
        return PresetFile.model_validate({} if document is None else document)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}." for detail in error.errors()]
        raise InvalidPresets(f"The presets {path} cannot be used. {' '.join(problems)}") from error
