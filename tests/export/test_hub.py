"""Checkpoints by their ids on the Hugging Face Hub: from its real client's cache, and where it can't be reached."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from diffusers import StableDiffusionPipeline

from export.config_text import from_text
from export.errors import ExportError, InvalidVae, NotACheckpoint
from export.loading import load
from export.options import ExportOptions
from tests import small_checkpoints
from tests.single_files import write_single_file

# Where diffusers takes the configs of a single file of this kind from.
CHECKPOINT_ID = "stable-diffusion-v1-5/stable-diffusion-v1-5"
VAE_ID = "someone/vae"
UNREACHED = "the Hub can't be reached, and nothing of that name was fetched before"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def lay(cache: Path, repository: str) -> Path:
    """The folder of a snapshot, as the Hub's client leaves one behind when it has fetched the newest commit."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    return folder / "snapshots" / COMMIT


def test_ids_are_exported_from_the_hubs_cache(tmp_path: Path) -> None:
    """A checkpoint's, a VAE's, and the one that has the configs of a single file.

    In a process of its own, because the client reads its settings when it is imported.
    """
    cache, repository = tmp_path / "cache", tmp_path / "repository"
    checkpoint = small_checkpoints.save(small_checkpoints.kinds()["sd1"], lay(cache, CHECKPOINT_ID))
    vae = lay(cache, VAE_ID)
    small_checkpoints.vae(seed=7).save_pretrained(vae)
    file = write_single_file(StableDiffusionPipeline.from_pretrained(checkpoint), tmp_path / "mine.safetensors")
    arguments = [CHECKPOINT_ID, "--vae", VAE_ID, "--name", "fetched", "--repository", str(repository), "--no-quality"]
    code = f"""
from pathlib import Path
from export.command import export
from export.loading import load
from export.options import ExportOptions
print(load(ExportOptions({str(file)!r}, "mine", Path("unused"))).source)
export.main({arguments!r})
"""
    environment = {**os.environ, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("mine\n")
    source = json.loads((repository / "fetched_vae_decoder" / "1" / "export.json").read_text())["source"]
    assert (source["name"], source["vae"]["name"]) == (CHECKPOINT_ID, VAE_ID)
    for hashes, folder in ((source["sha256"], checkpoint), (source["vae"]["sha256"], vae)):
        assert len(hashes) >= 2
        assert hashes == {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in hashes}
    family = from_text((repository / "fetched" / "config.pbtxt").read_text()).parameters
    assert family["source"].string_value == CHECKPOINT_ID
    assert "sd15" in family["aliases"].string_value


@pytest.mark.parametrize(
    ("checkpoint", "settings", "error", "words"),
    [
        ("someone/checkpoint", {}, NotACheckpoint, f"'someone/checkpoint' is neither .* {UNREACHED}"),
        ("file", {}, NotACheckpoint, rf"those of '{CHECKPOINT_ID}', can't be reached; name a folder .* --config"),
        ("folder", {"vae": VAE_ID}, InvalidVae, f"The VAE '{VAE_ID}' can't be loaded: {UNREACHED}"),
    ],
)
def test_an_id_that_cannot_be_reached_is_told_in_a_sentence(
    tmp_path: Path, checkpoint: str, settings: dict[str, Any], error: type[ExportError], words: str
) -> None:
    name = checkpoint
    if checkpoint in ("folder", "file"):
        folder = small_checkpoints.save(small_checkpoints.kinds()["sd1"], tmp_path / "folder")
        file = tmp_path / "file.safetensors"
        name = str(folder)
        if checkpoint == "file":
            name = str(write_single_file(StableDiffusionPipeline.from_pretrained(folder), file))
    with pytest.raises(error, match=words) as caught:
        load(ExportOptions(name, "mine", tmp_path / "unused", **settings))
    assert "\n" not in str(caught.value)
