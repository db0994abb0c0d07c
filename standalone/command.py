"""`starweave`: the image server on one machine, and a client for it."""

from __future__ import annotations

import click

from standalone.commands.api_key import api_key
from standalone.commands.demo import demo
from standalone.commands.doctor import doctor
from standalone.commands.experiment import experiment
from standalone.commands.export import export, export_upscaler
from standalone.commands.generate import generate
from standalone.commands.library import library
from standalone.commands.models import models
from standalone.commands.preferences import preferences
from standalone.commands.serve import serve
from standalone.commands.usage import usage
from standalone.commands.versions import versions


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Makes pictures from text: STARWEAVE's image service on NVIDIA Triton, without Docker."""


VERBS = (
    *(serve, generate, models, library, usage, experiment, preferences),
    *(export, export_upscaler, versions, demo, doctor, api_key),
)
for verb in VERBS:
    main.add_command(verb)


if __name__ == "__main__":
    main(prog_name="starweave")
