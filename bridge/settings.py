"""The bridge's settings, from the environment (`STARWEAVE_*`) and from flags, which win."""

import sys
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, CliApp, NoDecode, SettingsConfigDict

ENVIRONMENT_PREFIX = "STARWEAVE_"


class Settings(BaseSettings):
    """STARWEAVE's image service in front of one Triton."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        cli_prog_name="python -m bridge",
        cli_kebab_case=True,
        cli_hide_none_type=True,
        frozen=True,
    )

    host: str = Field("0.0.0.0", description="Address to listen on.")
    port: int = Field(50051, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    triton_url: str = Field("localhost:8001", description="Address of Triton's gRPC service.")
    fallback_models: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Families that stand in for an unknown or absent model, separated by commas, best first; "
        "after them any family that is ready.",
    )
    request_timeout: float = Field(
        300, gt=0, description="Seconds a picture may take, waiting included, unless the request asks for less."
    )
    max_in_flight: int = Field(512, ge=1, description="Pictures under way at the same time; further ones are refused.")
    max_input_bytes: int = Field(
        20_000_000, ge=1, description="Bytes that an init image, and a mask, may have each; a request may have 50 MiB."
    )
    max_input_pixels: int = Field(25_000_000, ge=1, description="Pixels that an init image, and a mask, may have each.")
    max_upscaled_pixels: int = Field(
        16_777_216, ge=1, description="Pixels that an upscaled picture may have; its file must stay under 50 MiB."
    )
    drain_grace: float = Field(15, ge=0, description="Seconds that pictures under way are given at shutdown.")
    catalog_interval: float = Field(
        2, gt=0, description="Seconds between two looks at the model repository for changes."
    )
    probe_interval: float = Field(5, gt=0, description="Seconds between two health probes of the models.")
    probe_timeout: float = Field(
        10, gt=0, description="Seconds a model has to answer a probe; two late answers in a row mean dead."
    )
    progress_interval: float = Field(
        0.1, gt=0, description="Seconds between two progress reports of GenerateImageStream."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="How much is logged.")

    @field_validator("fallback_models", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value


def read_settings(arguments: Sequence[str]) -> Settings:
    """Reads the settings from the environment and from command-line `arguments`.

    Prints usage and exits with status 2 where a flag is unknown; raises pydantic's ValidationError for a bad value.
    """
    return CliApp.run(Settings, cli_args=list(arguments))


def settings_table() -> str:
    """Renders the settings as a Markdown table, for the README."""
    rows = ["| variable | flag | default | meaning |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = ",".join(field.default) if isinstance(field.default, tuple) else str(field.default)
        rows.append(
            f"| `{ENVIRONMENT_PREFIX}{name.upper()}` | `--{name.replace('_', '-')}` "
            f"| {f'`{default}`' if default else ''} | {field.description} |"
        )
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(settings_table())
