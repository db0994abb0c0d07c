"""Reads a model repository into the catalog of its families and upscalers, without Triton.

A family is one checkpoint: its ensembles, one for each capability, and the models that these run. One of the
ensembles bears its parameters, with its name as `family`. An upscaler is a model with a parameter `upscale_factor`.
"""

import hashlib
import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from google.protobuf import text_format

CONFIG_FILE = "config.pbtxt"
ENSEMBLES = {
    "text-to-image": "{family}",
    "image-to-image": "{family}_image_to_image",
    "inpainting": "{family}_inpaint",
}


@dataclass(frozen=True, slots=True)
class Version:
    """One version folder of a model."""

    version: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Model:
    """A model that an ensemble of the family runs, with the versions that lie in the repository."""

    name: str
    backend: str
    versions: list[Version]


@dataclass(frozen=True, slots=True)
class Family:
    """One checkpoint; `fingerprint` changes when any of its configurations or version folders does."""

    name: str
    version: int
    parameters: dict[str, str]
    ensembles: dict[str, str]
    models: list[Model]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Upscaler:
    """A model that enlarges pictures of any family; `fingerprint` changes with its configuration and its versions."""

    name: str
    version: int
    parameters: dict[str, str]
    versions: list[Version]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Catalog:
    """What a repository holds; `problems` are sentences about what could not be read."""

    families: list[Family] = field(default_factory=list)
    upscalers: list[Upscaler] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_catalog(repository: Path, query: str = "") -> dict[str, Any]:
    """Returns the catalog of `repository` as plain JSON values.

    `query` is the name of the one family wanted, or "" for all and the upscalers. Whatever is broken becomes a sentence
    in `problems` and never hides the rest. Raises OSError where the repository itself cannot be listed.
    """
    catalog = Catalog()
    configs = dict(_read_configs(repository, catalog.problems))
    for name, config in sorted(configs.items()):
        if not query and "upscale_factor" in config.parameters:
            catalog.upscalers.extend(_read_upscaler(repository, name, config, catalog.problems))
        owner = config.parameters["family"].string_value if "family" in config.parameters else ""
        if not owner or not config.HasField("ensemble_scheduling") or query not in ("", owner):
            continue
        if name in {pattern.format(family=owner) for pattern in ENSEMBLES.values()}:
            family = _read_family(repository, owner, config, configs, catalog.problems)
            if family is not None:
                catalog.families.append(family)
        else:
            catalog.problems.append(
                f"The ensemble {name} says that it belongs to the family {owner}, but its name is none of "
                f"{', '.join(pattern.format(family=owner) for pattern in ENSEMBLES.values())}."
            )
    if query and not catalog.families and not catalog.problems:
        catalog.problems.append(f"The repository has no family {query}.")
    return asdict(catalog)


def _read_configs(repository: Path, problems: list[str]) -> Iterator[tuple[str, Any]]:
    for folder in sorted(repository.iterdir()):
        path = folder / CONFIG_FILE
        if folder.name.startswith(".") or not folder.is_dir():
            continue
        try:
            status = path.stat()
            config = _parse(path, status.st_size, status.st_mtime_ns)
        except FileNotFoundError:
            problems.append(f"The folder {folder.name} has no {CONFIG_FILE}.")
        except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
            problems.append(f"{folder.name}/{CONFIG_FILE} cannot be read: {error}.")
        else:
            yield folder.name, config


@lru_cache(maxsize=1024)
def _parse(path: Path, size: int, mtime_ns: int) -> Any:
    """Parses a configuration; cached, since the catalog is asked every few seconds and parsing is its main cost."""
    # A field that a newer Triton has added says nothing about families; Triton itself judges it at load.
    return text_format.Parse(path.read_text(), model_config_pb2.ModelConfig(), allow_unknown_field=True)


def _read_family(
    repository: Path, name: str, bearer: Any, configs: dict[str, Any], problems: list[str]
) -> Family | None:
    """Reads the family `name`, whose parameters are on the ensemble `bearer`: usually its text-to-image one."""
    parameters = _parameters(bearer)
    if not parameters.get("version", "").isdecimal():
        problems.append(f"The family {name} has no parameter `version` that is a number.")
        return None
    ensembles = {
        capability: pattern.format(family=name)
        for capability, pattern in ENSEMBLES.items()
        if pattern.format(family=name) in configs
    }
    models = []
    for model in _steps(ensembles.values(), configs):
        if model not in configs:
            problems.append(f"The family {name} needs the model {model}, which the repository does not have.")
            return None
        backend = configs[model].backend or configs[model].platform
        models.append(Model(model, backend, _read_versions(repository / model)))
    parts = [f"{model.name} {version.version} {version.fingerprint}" for model in models for version in model.versions]
    parts += [
        f"{folder} {_fingerprint([repository / folder / CONFIG_FILE], repository)}"
        for folder in (*ensembles.values(), *(model.name for model in models))
    ]
    return Family(name, int(parameters["version"]), parameters, ensembles, models, _digest(parts))


def _read_upscaler(repository: Path, name: str, config: Any, problems: list[str]) -> Iterator[Upscaler]:
    parameters = _parameters(config)
    if not parameters.get("version", "").isdecimal():
        problems.append(f"The upscaler {name} has no parameter `version` that is a number.")
        return
    versions = _read_versions(repository / name)
    parts = [f"{version.version} {version.fingerprint}" for version in versions]
    parts.append(_fingerprint([repository / name / CONFIG_FILE], repository))
    yield Upscaler(name, int(parameters["version"]), parameters, versions, _digest(parts))


def _parameters(config: Any) -> dict[str, str]:
    return {key: value.string_value for key, value in sorted(config.parameters.items())}


def _steps(ensembles: Iterable[str], configs: dict[str, Any]) -> list[str]:
    """Names the models that the ensembles run, each once, in the order of the steps."""
    names = (step.model_name for ensemble in ensembles for step in configs[ensemble].ensemble_scheduling.step)
    return list(dict.fromkeys(names))


def _read_versions(folder: Path) -> list[Version]:
    numbers = sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal() and path.is_dir())
    return [Version(number, _fingerprint((folder / str(number)).rglob("*"), folder)) for number in numbers]


def _fingerprint(paths: Iterable[Path], relative_to: Path) -> str:
    """Digests names, sizes and times of change: weights are too large to be read on each query."""
    parts = []
    for path in sorted(paths):
        try:
            status = path.stat()
        except FileNotFoundError:
            # A version is being removed; the next query sees it gone.
            continue
        if path.is_file():
            parts.append(f"{path.relative_to(relative_to)} {status.st_size} {status.st_mtime_ns}")
    return _digest(parts)


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _load_model_config() -> Any:
    """Loads Triton's generated protobuf module `model_config_pb2` from the installed tritonclient.

    It is loaded by its path because importing `tritonclient.grpc` would bring gRPC into Triton's process.
    """
    package = importlib.util.find_spec("tritonclient")
    if package is None or not package.submodule_search_locations:
        raise ImportError("The catalog model needs the package tritonclient; install it beside Triton.")
    path = Path(package.submodule_search_locations[0], "grpc", "model_config_pb2.py")
    spec = importlib.util.spec_from_file_location("model_config_pb2", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"The installed tritonclient has no {path}.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


model_config_pb2 = _load_model_config()
