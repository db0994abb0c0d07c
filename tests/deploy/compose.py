"""docker-compose.yml as Docker Compose itself reads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
DOCKER_COMPOSE = Path(sys.executable).parent / "docker-compose"
PASSWORDS = {"STARWEAVE_DB_PASSWORD": "of-the-database", "STARWEAVE_GRAFANA_PASSWORD": "of-grafana"}


class ComposeRefused(Exception):
    """What Compose says of a file that it does not take."""


@cache
def resolve(profile: str, **variables: str) -> dict[str, Any]:
    """The file with its anchors, variables and paths resolved, for one profile. Raises ComposeRefused."""
    command = [DOCKER_COMPOSE, "--profile", profile, "config", "--format", "json"]
    environment = {"PATH": os.environ["PATH"], **(variables or PASSWORDS)}
    run = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    # The wrapper's status is 0 in any case.
    if not run.stdout:
        raise ComposeRefused(run.stderr)
    resolved: dict[str, Any] = json.loads(run.stdout)
    return resolved
