"""The bridge's settings, from the environment (`STARWEAVE_*`) and from flags, which win."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import DirectoryPath, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, CliApp, NoDecode, SettingsConfigDict

from bridge.limits.admission import Limits
from bridge.limits.rates import parse_rates
from bridge.observability.logs import LogFormat
from bridge.recovery.fallback import parse_chains
from bridge.security.transport import TlsFiles

ENVIRONMENT_PREFIX = "STARWEAVE_"


class Settings(BaseSettings):
    """STARWEAVE's image service in front of one Triton."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        cli_prog_name="python -m bridge",
        cli_kebab_case=True,
        cli_hide_none_type=True,
        env_ignore_empty=True,
        frozen=True,
    )

    host: str = Field("0.0.0.0", description="Address to listen on.")
    port: int = Field(50051, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    triton_url: str = Field("localhost:8001", description="Address of Triton's gRPC service.")
    tls_certificate: Path | None = Field(
        None, description="PEM file with the server's certificate chain; TLS is on where it is set. It may be renewed."
    )
    tls_key: Path | None = Field(None, description="PEM file with the certificate's key.")
    tls_client_ca: Path | None = Field(
        None, description="PEM file with who signs clients' certificates; each client must show one (mutual TLS)."
    )
    api_keys_file: Path | None = Field(
        None,
        description="File with a line for each API key, as `starweave api-key NAME` makes them; empty asks for none.",
    )
    hardened: bool = Field(
        False, description="Offers no reflection, and starts only with API keys or clients' certificates."
    )
    fallback_models: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Families that stand in for an unknown or absent model, separated by commas, best first; "
        "after them any family that is ready.",
    )
    fallback_chains: str = Field(
        "",
        description="What stands in for a model that is unknown, away or failing, such as `sdxl=sd15,demo; *=demo`, "
        "where `*` is any; without a chain a known model is never replaced.",
    )
    request_timeout: float = Field(
        300, gt=0, description="Seconds a picture may take, waiting included, unless the request asks for less."
    )
    recovery_wait: float = Field(
        30, ge=0, description="Seconds that a picture waits at most for a model that went away, then it is begun again."
    )
    retry_budget: int = Field(
        512, ge=0, description="Pictures that may be begun again; each ten that are finished add one, up to this many."
    )
    circuit_failures: int = Field(
        5, ge=1, description="Failures in a row after which a model that answers but fails is left alone."
    )
    circuit_seconds: float = Field(10, gt=0, description="Seconds that it is left alone before a picture tries it.")
    max_in_flight: int = Field(512, ge=1, description="Pictures under way at the same time; further ones are refused.")
    user_rate: str = Field("", description="Pictures that a user may ask for, such as `30/minute; 500/day`.")
    user_concurrency: int = Field(0, ge=0, description="Pictures a user may have under way; 0 bounds none.")
    key_rate: str = Field("", description="Pictures that an API key may ask for, such as `10/second`.")
    key_concurrency: int = Field(0, ge=0, description="Pictures an API key may have under way; 0 bounds none.")
    limits_url: str = Field(
        "", description="Redis that several bridges count rates in, such as `redis://host:6379/0`; empty: own memory."
    )
    max_message_bytes: int = Field(
        50 * 1024 * 1024, ge=1024, description="Bytes that a request or a response may have."
    )
    max_variations: int = Field(4, ge=1, description="Pictures that one call for variations makes at most.")
    max_input_bytes: int = Field(20_000_000, ge=1, description="Bytes that an init image, and a mask, may have each.")
    max_input_pixels: int = Field(25_000_000, ge=1, description="Pixels that an init image, and a mask, may have each.")
    max_upscaled_pixels: int = Field(
        16_777_216, ge=1, description="Pixels that an upscaled picture may have; its file must stay under 50 MiB."
    )
    presets: DirectoryPath | None = Field(
        None,
        description="Folder of styles and qualities, `*.yaml`, in place of the built-in ones; read again on change.",
    )
    context_mode: Literal["off", "light", "strong"] = Field(
        "off", description="How much of its `context` goes into the prompt of a request that sends no `context_mode`."
    )
    preferences: bool = Field(
        False,
        description="Whether requests that do not say take the style and quality that their user prefers where they "
        "leave them open; learnt from the library.",
    )
    drain_grace: float = Field(15, ge=0, description="Seconds that pictures under way are given at shutdown.")
    max_resident: int = Field(
        4,
        ge=1,
        description="Families that Triton holds loaded; for a further one, that which was not used for longest goes.",
    )
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
    metrics_host: str = Field("127.0.0.1", description="Address that Prometheus may read `/metrics` at.")
    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="Port of `/metrics`; 0 takes a free one, empty serves none (9464 is usual)."
    )
    library: Path | None = Field(
        None,
        description="Folder of the image library: its journal, and its database and blobs unless they are elsewhere; "
        "empty: no picture is kept.",
    )
    library_database: str = Field(
        "", description="Database of the library, such as `postgresql://user@host/name`; empty: SQLite in its folder."
    )
    library_blobs: str = Field(
        "",
        description="Where the library's pictures go, such as `s3://bucket/prefix` (credentials and endpoint as the "
        "AWS tools read them); empty: its folder.",
    )
    library_max_days: float = Field(0, ge=0, description="Days that the library keeps a picture; 0: no limit.")
    library_max_images: int = Field(0, ge=0, description="Pictures that the library keeps, the newest; 0: no limit.")
    library_max_bytes: int = Field(
        0, ge=0, description="Bytes of pictures that the library keeps, the newest; 0: no limit."
    )
    library_max_per_user: int = Field(
        0, ge=0, description="Pictures that the library keeps of each user, the newest; 0: no limit."
    )
    repeats: bool = Field(
        True,
        description="Whether a request equal to an earlier one gets the library's picture, and equal requests under "
        "way are made once.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="How much is logged.")
    log_format: LogFormat = Field("text", description="`text`, or `json` with a line of JSON for each entry.")
    log_prompts: bool = Field(False, description="Logs the prompts of finished pictures too.")

    @property
    def limits(self) -> Limits:
        """What is taken from whom."""
        return Limits(
            max_in_flight=self.max_in_flight,
            user_rate=self.user_rate,
            user_concurrency=self.user_concurrency,
            key_rate=self.key_rate,
            key_concurrency=self.key_concurrency,
            store_url=self.limits_url,
        )

    @property
    def tls_files(self) -> TlsFiles | None:
        """The files for TLS, None where it is off."""
        if self.tls_certificate is None or self.tls_key is None:
            return None
        return TlsFiles(self.tls_certificate, self.tls_key, self.tls_client_ca)

    @field_validator("fallback_chains")
    @classmethod
    def _check_chains(cls, value: str) -> str:
        parse_chains(value)
        return value

    @field_validator("user_rate", "key_rate")
    @classmethod
    def _check_rates(cls, value: str) -> str:
        parse_rates(value)
        return value

    @model_validator(mode="after")
    def _check_security(self) -> "Settings":
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together; set both or none")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("tls_client_ca needs tls_certificate and tls_key")
        if self.hardened and self.api_keys_file is None and self.tls_client_ca is None:
            raise ValueError("hardened needs api_keys_file or tls_client_ca: it lets no strangers in")
        return self

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
        default = _text(field.default)
        rows.append(
            f"| `{ENVIRONMENT_PREFIX}{name.upper()}` | `--{name.replace('_', '-')}` "
            f"| {f'`{default}`' if default else ''} | {field.description} |"
        )
    return "\n".join(rows) + "\n"


def _text(default: object) -> str:
    match default:
        case None:
            return ""
        case tuple():
            return ",".join(default)
    return str(default)


if __name__ == "__main__":
    sys.stdout.write(settings_table())
