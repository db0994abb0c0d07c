"""What `starweave` says when something is missing. (Its successes: tests/triton/test_commands.py.)"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner, Result

from bridge.security.api_keys import ApiKeys
from protos import starweave_pb2, starweave_pb2_grpc
from standalone.command import main
from standalone.lock_file import LockFile
from standalone.ports import free_port


@pytest.fixture
def strange_server() -> Iterator[str]:
    """Address of a gRPC server that knows nothing of pictures."""
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        port = server.add_insecure_port("localhost:0")
        server.start()
        yield f"localhost:{port}"
        server.stop(None).wait()


@pytest.mark.parametrize("arguments", [["generate", "a moon"], ["models"]])
def test_without_a_server_the_way_to_start_one_is_told(arguments: list[str], tmp_path: Path) -> None:
    address = f"localhost:{free_port(17090)}"
    outcome = _starweave(*arguments, "--address", address)
    assert outcome.exit_code == 1
    assert outcome.stderr == (
        f"Error: No image server answers at {address}: start one with `starweave serve`, "
        "or name another with --address.\n"
    )


@pytest.mark.parametrize("arguments", [["generate", "a moon"], ["models"]])
def test_another_server_is_told_apart(arguments: list[str], strange_server: str) -> None:
    outcome = _starweave(*arguments, "--address", strange_server)
    assert outcome.exit_code == 1
    assert f"What answers at {strange_server} is not this image server" in outcome.stderr


@pytest.fixture
def guarded_server() -> Iterator[str]:
    """Address of a server that answers only to the key `right`."""

    class Service(starweave_pb2_grpc.ImageGenerationServiceServicer):
        def GetImageModels(self, request: Any, context: Any) -> Any:
            if ("authorization", "Bearer right") not in context.invocation_metadata():
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "Who are you?")
            info = starweave_pb2.ModelResponse.ModelInfo(id="fox", description="Paints foxes.")
            return starweave_pb2.ModelResponse(models=[info])

    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        starweave_pb2_grpc.add_ImageGenerationServiceServicer_to_server(Service(), server)
        port = server.add_insecure_port("localhost:0")
        server.start()
        yield f"localhost:{port}"
        server.stop(None).wait()


def test_an_api_key_is_shown_where_it_is_asked_for(guarded_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = _starweave("models", "--address", guarded_server)
    assert refused.exit_code == 1
    assert "asks for an API key that it knows: set STARWEAVE_API_KEY." in refused.stderr
    monkeypatch.setenv("STARWEAVE_API_KEY", "right")
    assert "Paints foxes." in _starweave("models", "--address", guarded_server).stdout


def test_an_authority_that_cannot_be_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARWEAVE_TLS_CA", "nowhere.pem")
    outcome = _starweave("models")
    assert outcome.exit_code == 1
    assert "STARWEAVE_TLS_CA names a file that cannot be read" in outcome.stderr


def test_an_api_key_is_made_with_its_line(tmp_path: Path) -> None:
    outcome = _starweave("api-key", "app")
    key, line = (row.partition(":")[2].strip() for row in outcome.stdout.splitlines())
    (tmp_path / "keys").write_text(line)
    assert ApiKeys(tmp_path / "keys").name_of(key) == "app"
    assert "is no name for a key" in _starweave("api-key", "two words").stderr


@pytest.mark.parametrize("size", ["512", "512x", "x512", "512 x 512", "-1x5", "123456x5"])
def test_a_size_that_is_none_is_refused(size: str) -> None:
    outcome = _starweave("generate", "a moon", "--size", size)
    assert outcome.exit_code == 2
    assert f"{size} is not a size: write it as 512x512." in outcome.stderr


def test_a_file_ending_without_a_format_is_refused() -> None:
    outcome = _starweave("generate", "a moon", "-o", "moon.gif")
    assert outcome.exit_code == 1
    assert "moon.gif has no ending the server can make a picture for: use one of .png" in outcome.stderr


@pytest.mark.parametrize("option", ["--init-image", "--mask"])
def test_a_picture_that_is_not_there_is_refused(option: str, tmp_path: Path) -> None:
    outcome = _starweave("generate", "a moon", option, str(tmp_path / "sun.png"))
    assert outcome.exit_code == 2
    assert f"'{option}': File '{tmp_path / 'sun.png'}' does not exist." in outcome.stderr


@pytest.mark.parametrize("option", ["--init-image", "--mask"])
def test_a_picture_without_bytes_is_refused(option: str, tmp_path: Path) -> None:
    """The server would take it for no picture at all."""
    (tmp_path / "sun.png").touch()
    outcome = _starweave("generate", "a moon", option, str(tmp_path / "sun.png"))
    assert outcome.exit_code == 1
    assert outcome.stderr == f"Error: {tmp_path / 'sun.png'} is empty: name a PNG, JPEG or WebP file.\n"


def test_serve_without_a_repository_is_refused(tmp_path: Path) -> None:
    outcome = _starweave("serve", "--repository", str(tmp_path / "none"), "--folder", str(tmp_path))
    assert outcome.exit_code == 1
    assert f"There is no model repository with a `catalog` model at {tmp_path / 'none'}." in outcome.stderr


def test_two_stacks_never_share_a_folder(tmp_path: Path) -> None:
    lock = LockFile(tmp_path / "lock")
    outcome = _starweave("serve", "--folder", str(tmp_path))
    lock.close()
    assert outcome.exit_code == 1
    assert f"runs from {tmp_path}: stop it, or name another folder" in outcome.stderr


def test_export_without_its_packages_tells_how_to_get_them() -> None:
    without_torch = (
        "import sys; sys.modules['torch'] = None; "
        "from standalone.command import main; main(['export', 'checkpoint', '--name', 'demo'], 'starweave')"
    )
    run = subprocess.run([sys.executable, "-c", without_torch], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr == (
        "Error: Exporting needs packages that are not installed (torch): run `pip install -e .[serve,export]`.\n"
    )


def test_export_shows_the_options_of_the_export_package() -> None:
    outcome = _starweave("export", "--help")
    assert outcome.exit_code == 0
    assert outcome.stdout.startswith("Usage: starweave export [OPTIONS] CHECKPOINT")
    assert "--name" in outcome.stdout


def _starweave(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)
