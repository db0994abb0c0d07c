"""What `starweave doctor` says of broken installations. (Of a running server: tests/triton/test_doctor.py.)"""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner

from standalone.command import main
from standalone.doctor import repository, resources, software
from standalone.doctor.finding import Finding, Verdict
from standalone.ports import free_port
from standalone.stack import StackSettings


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A copy of the model repository, to be broken."""
    folder = tmp_path / "models"
    shutil.copytree(StackSettings().repository, folder)
    return folder


def wrong(findings: Iterable[Finding]) -> list[str]:
    """The sentences about what is wrong."""
    return [finding.sentence for finding in findings if finding.verdict is Verdict.WRONG]


def test_a_whole_repository_is_well(models: Path) -> None:
    (finding,) = repository.examine(models)
    assert (finding.verdict, finding.sentence) == (Verdict.WELL, "The family demo is whole, version 1.")


def test_a_folder_without_models_is_told(tmp_path: Path) -> None:
    (sentence,) = wrong(repository.examine(tmp_path))
    assert sentence.startswith(f"There is no model repository with a `catalog` model at {tmp_path}: ")


def test_a_repository_without_a_family_is_told(models: Path) -> None:
    for folder in models.glob("demo*"):
        shutil.rmtree(folder)
    (sentence,) = wrong(repository.examine(models))
    assert sentence == f"The repository {models} holds no family: make one with `starweave export`."


def test_a_version_that_is_not_there_is_told(models: Path) -> None:
    (models / "demo_unet" / "1").rename(models / "demo_unet" / "2")
    (sentence,) = wrong(repository.examine(models))
    assert sentence.startswith(f"The family demo is at version 1, and {models / 'demo_unet'} has no folder 1: ")


def test_a_damaged_configuration_is_told(models: Path) -> None:
    (models / "demo_vae_decoder" / "config.pbtxt").write_text("name: ")
    sentences = wrong(repository.examine(models))
    assert sentences[0].startswith("demo_vae_decoder/config.pbtxt cannot be read: ")
    assert "needs the model demo_vae_decoder" in sentences[1]


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"])
def test_weights_that_were_not_fetched_are_told(models: Path, content: bytes) -> None:
    file = models / "demo_unet" / "1" / "model.onnx"
    file.write_bytes(content)
    assert wrong(repository.examine(models)) == [
        f"{file} is empty or a Git LFS pointer: run `git lfs pull`, or export the family again."
    ]


def test_little_shared_memory_is_told(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As much as Docker gives a container by default."""
    usage = shutil.disk_usage(tmp_path)
    small = type(usage)(64 * 2**20, 0, 64 * 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: small if path == Path("/dev/shm") else usage)
    (sentence,) = wrong(resources.examine(models, tmp_path))
    assert sentence.startswith("/dev/shm has 64 MiB free, ")
    assert "`--shm-size=1g`" in sentence


def test_a_taken_port_is_worth_a_note_that_names_its_holder(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        monkeypatch.setattr(resources, "_PORTS", {port: "the bridge"})
        (finding,) = [each for each in resources.examine(models, tmp_path) if each.subject.startswith("Port")]
    assert finding.verdict is Verdict.NOTE
    assert "is taken by python" in finding.sentence and "gives the bridge another one" in finding.sentence


def test_both_runtimes_at_once_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "version", lambda package: "1.30.0")
    (sentence,) = wrong(software.examine())
    assert sentence.startswith("onnxruntime and onnxruntime-gpu are both installed")


def test_a_python_without_triton_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytriton", None)
    monkeypatch.setenv("PATH", "/nowhere")
    assert any("No Triton was found: install the serving packages" in each for each in wrong(software.examine()))


def test_without_a_server_at_the_address_the_status_is_one() -> None:
    address = f"localhost:{free_port(17091)}"
    outcome = CliRunner().invoke(main, ["doctor", "--address", address])
    assert outcome.exit_code == 1
    assert outcome.stdout.startswith(f"WRONG Server: No image server answers at {address}: start one with ")
