"""Every kind of checkpoint, exported and served, against its own diffusers pipeline with the same seed and settings."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import numpy.typing as npt
import pytest
import torch
import tritonclient.grpc as triton_grpc
from click.testing import CliRunner
from PIL import Image

from export.command import export
from export.config_text import from_text, to_text
from export.family import export_family
from export.model_configs import catalog
from export.options import ExportOptions
from export.source import sha256
from standalone.triton import Triton, TritonPorts
from tests import small_checkpoints
from tests.loras import write_lora
from tests.small_checkpoints import PIXELS
from tests.triton.conftest import START_SECONDS
from tests.triton.diffusers_reference import CLOSE_DB, CLOSE_LATENTS, FAR_DB, psnr
from tests.triton.family_client import FamilyClient

PROMPT = "a red circle left of a yellow star!"
OTHER_PROMPT = "a white moon on a green background"
SEED, WIDTH, HEIGHT = 42, 48, 32
OTHER_TIME_IDS = (300.0, 200.0, 40.0, 10.0, 128.0, 256.0)
KINDS = small_checkpoints.kinds()
# Kinds whose guidance is off unless it is asked for.
FEW_STEPS = ("sd_turbo", "sdxl_turbo", "sdxl_lightning")


@dataclass(frozen=True, slots=True)
class Served:
    """The checkpoints' folders, the repository with their families, and a client of the Triton that serves it."""

    checkpoints: Path
    repository: Path
    client: triton_grpc.InferenceServerClient

    def export(self, name: str) -> None:
        """Makes a kind's checkpoint and its family, where that has not been done yet."""
        if not (self.checkpoints / name).exists():
            small_checkpoints.save(KINDS[name], self.checkpoints / name)
            options = ExportOptions(str(self.checkpoints / name), name, self.repository, quality=False)
            export_family(options, lambda sentence: None)

    def family(self, name: str, kind: str = "") -> FamilyClient:
        """A family, with what one of its ensembles needs loaded."""
        self.export(name)
        encoders = ("", "_2") if KINDS[name].weights == "sdxl" else ("",)
        family = FamilyClient(self.client, name, text_encoders=encoders, kinds=(kind,))
        family.load()
        return family

    def parameters(self, name: str) -> dict[str, str]:
        """What the family says of itself."""
        self.export(name)
        ensemble = f"{name}_inpaint" if name == "repainting" else name
        config = from_text((self.repository / ensemble / "config.pbtxt").read_text())
        return {key: value.string_value for key, value in config.parameters.items()}

    def pipeline(self, name: str, pipeline: str = "") -> Any:
        """diffusers' pipeline of the checkpoint, or another one of its components."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = getattr(diffusers, KINDS[name].pipeline).from_pretrained(self.checkpoints / name)
            if pipeline:
                made = getattr(diffusers, pipeline).from_pipe(made)
        made.set_progress_bar_config(disable=True)
        return made


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """These models are too small for more than one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def served(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One repository and one Triton for all kinds; a test exports and loads the family that it needs."""
    folder = tmp_path_factory.mktemp("families")
    repository = folder / "model_repository"
    (repository / "catalog" / "1").mkdir(parents=True)
    (repository / "catalog" / "config.pbtxt").write_text(to_text(catalog()))
    with serve(repository, folder) as client:
        yield Served(folder, repository, client)


@contextmanager
def serve(repository: Path, folder: Path) -> Iterator[triton_grpc.InferenceServerClient]:
    server = Triton(repository, folder, TritonPorts.free(19000, 19001, 19002))
    try:
        server.start()
        server.wait_until_ready(START_SECONDS, time.sleep)
        with triton_grpc.InferenceServerClient(server.grpc_url) as client:
            yield client
    finally:
        server.stop()


def paint(pipeline: Any, **settings: Any) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """The final latents [4, h, w] and the picture [H, W, 3] of one call."""
    generator = torch.Generator("cpu").manual_seed(SEED)
    latents = pipeline(generator=generator, output_type="latent", **settings).images
    with torch.no_grad():
        pixels = pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample
    return latents[0].numpy(), np.asarray(pipeline.image_processor.postprocess(pixels, output_type="pil")[0])


def assert_close(ours: npt.NDArray[np.float32], theirs: npt.NDArray[np.float32]) -> None:
    assert np.linalg.norm(ours - theirs) <= CLOSE_LATENTS * np.linalg.norm(theirs)


@pytest.mark.parametrize("name", [name for name in KINDS if name != "repainting"])
def test_text_to_image_equals_the_kinds_own_pipeline(served: Served, name: str) -> None:
    family = served.family(name)
    # Turbo and Lightning take the family's defaults: no guidance, four steps.
    ours: dict[str, Any] = {} if name in FEW_STEPS else {"STEPS": 4, "GUIDANCE_SCALE": 6.0}
    theirs: dict[str, Any] = {"num_inference_steps": 4, "guidance_scale": 0.0 if name in FEW_STEPS else 6.0}
    if name == "zero_snr":
        theirs["guidance_rescale"] = 0.7
    latents, picture = paint(served.pipeline(name), prompt=PROMPT, width=WIDTH, height=HEIGHT, **theirs)
    settings = {"WIDTH": WIDTH, "HEIGHT": HEIGHT, "SEED": SEED, **ours}
    assert_close(family.latents(PROMPT, **settings), latents)
    made = family.picture(PROMPT=PROMPT, **settings)
    assert psnr(made.image, picture) >= CLOSE_DB
    # Without these the comparison could pass on pictures that ignore their inputs.
    others: dict[str, dict[str, Any]] = {
        "prompt": {"PROMPT": OTHER_PROMPT},
        "guidance": {"GUIDANCE_SCALE": 2.0},
        "steps": {"STEPS": 1},
    }
    if name == "zero_snr":
        others["guidance rescale"] = {"GUIDANCE_RESCALE": 0.0}
    # The few-step kinds have the same graphs; without guidance to amplify it, random weights hardly heed a size.
    if name == "sdxl":
        others["time ids"] = {"TIME_IDS": OTHER_TIME_IDS}
    for setting, change in others.items():
        other = family.picture(**{"PROMPT": PROMPT, **settings, **change})
        assert psnr(other.image, picture) < FAR_DB, f"another {setting} makes the same picture"
    if name == "sdxl":
        pooled = family.encoded(OTHER_PROMPT)["PROMPT_POOLED"]
        other_latents = family.latents(PROMPT, PROMPT_POOLED=pooled, **settings)
        assert psnr(family.decoded(other_latents), picture) < FAR_DB, "another pooled embedding makes the same picture"
    rows = 1 if name in FEW_STEPS or name == "lcm" else 2
    assert made.info["mean_rows"] == rows


def test_a_lora_and_another_vae_make_the_pictures_of_the_pipeline_that_has_them(served: Served, tmp_path: Path) -> None:
    checkpoint = small_checkpoints.save(KINDS["sdxl"], tmp_path / "checkpoint")
    own = diffusers.StableDiffusionXLPipeline.from_pretrained(checkpoint)
    lora = write_lora(own, tmp_path / "style.safetensors", seed=4)
    vae = small_checkpoints.vae(seed=7)
    vae.save_pretrained(tmp_path / "vae")
    options = ["--name", "altered", "--repository", served.repository, "--no-quality"]
    options += ["--lora", f"{lora}:0.8", "--vae", tmp_path / "vae"]
    exported = CliRunner().invoke(export, [str(each) for each in (checkpoint, *options)])
    assert exported.exit_code == 0, exported.output
    source = json.loads((served.repository / "altered_unet" / "1" / "export.json").read_text())["source"]
    assert source["loras"] == [{"name": "style.safetensors", "weight": 0.8, "sha256": sha256(lora)}]
    assert source["vae"]["sha256"]["config.json"] == sha256(tmp_path / "vae" / "config.json")

    family = FamilyClient(served.client, "altered", text_encoders=("", "_2"), kinds=("",))
    family.load()
    ours: dict[str, Any] = {"STEPS": 4, "GUIDANCE_SCALE": 6.0, "SEED": SEED, "WIDTH": WIDTH, "HEIGHT": HEIGHT}
    theirs: dict[str, Any] = {"num_inference_steps": 4, "guidance_scale": 6.0, "width": WIDTH, "height": HEIGHT}
    made, latents = family.picture(PROMPT=PROMPT, **ours).image, family.latents(PROMPT, **ours)

    def pipeline(weight: float, vae: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = diffusers.StableDiffusionXLPipeline.from_pretrained(checkpoint)
            found.vae = vae or found.vae
            if weight:
                found.load_lora_weights(lora.parent, weight_name=lora.name, adapter_name="style")
                found.set_adapters(["style"], [weight])
        found.set_progress_bar_config(disable=True)
        return found

    expected, picture = paint(pipeline(0.8, vae), prompt=PROMPT, **theirs)
    assert_close(latents, expected)
    assert psnr(made, picture) >= CLOSE_DB
    # Neither is without effect, nor the weight.
    for weight, other_vae in ((0.0, vae), (0.4, vae), (0.8, None)):
        _, other = paint(pipeline(weight, other_vae), prompt=PROMPT, **theirs)
        assert psnr(made, other) < FAR_DB, f"the LoRA at {weight}, another VAE: {other_vae is not None}"


@pytest.mark.parametrize(
    ("name", "steps", "guidance_scale", "guidance_rescale", "sampler"),
    [
        ("sd1", "20", "7.5", "0", "pndm"),
        ("sd2", "20", "7.5", "0", "ddim"),
        ("zero_snr", "20", "7.5", "0.7", "ddim"),
        ("sd_turbo", "4", "0", "0", "euler"),
        ("lcm", "4", "8.5", "0", "lcm"),
        ("repainting", "20", "7.5", "0", "ddim"),
        ("sdxl", "20", "5", "0", "euler"),
        ("sdxl_turbo", "4", "0", "0", "euler_a"),
        ("sdxl_lightning", "4", "0", "0", "euler"),
    ],
)
def test_a_family_has_the_defaults_of_its_kind(
    served: Served, name: str, steps: str, guidance_scale: str, guidance_rescale: str, sampler: str
) -> None:
    parameters = served.parameters(name)
    assert parameters["default_steps"] == steps
    assert parameters["default_guidance_scale"] == guidance_scale
    assert parameters["default_guidance_rescale"] == guidance_rescale
    assert parameters["default_sampler"] == sampler


@pytest.mark.parametrize("name", ["sd2", "sdxl"])
def test_a_negative_prompt_is_what_the_pipeline_makes_of_it(served: Served, name: str) -> None:
    family, pipeline = served.family(name), served.pipeline(name)
    theirs = {"prompt": PROMPT, "num_inference_steps": 4, "guidance_scale": 6.0}
    settings: dict[str, Any] = {"STEPS": 4, "GUIDANCE_SCALE": 6.0, "SEED": SEED}
    latents, picture = paint(pipeline, negative_prompt=OTHER_PROMPT, **theirs)
    assert_close(family.latents(PROMPT, OTHER_PROMPT, **settings), latents)
    assert psnr(family.picture(PROMPT=PROMPT, NEGATIVE_PROMPT=OTHER_PROMPT, **settings).image, picture) >= CLOSE_DB
    # An empty one is an absent one: of SDXL zeros, which are not what its encoders make of an empty text.
    empty = family.picture(PROMPT=PROMPT, NEGATIVE_PROMPT="", **settings).image
    assert psnr(empty, paint(pipeline, **theirs)[1]) >= CLOSE_DB
    assert psnr(empty, picture) < FAR_DB
    if name == "sdxl":
        assert psnr(empty, paint(pipeline, negative_prompt="", **theirs)[1]) < FAR_DB


def scene() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """An init image, and a mask over its right half."""
    y, x = np.mgrid[:PIXELS, :PIXELS]
    image = np.full((PIXELS, PIXELS, 3), (252, 211, 60), np.uint8)
    image[(x - 10) ** 2 + (y - 10) ** 2 < 8**2] = (56, 142, 60)
    return image, np.where(x >= PIXELS // 2, 255, 0).astype(np.uint8)[:, :, None]


@pytest.mark.parametrize(
    ("name", "kind", "pipeline"),
    [
        ("sdxl", "image_to_image", "StableDiffusionXLImg2ImgPipeline"),
        ("sdxl", "inpaint", "StableDiffusionXLInpaintPipeline"),
        ("repainting", "inpaint", ""),
        ("lcm", "image_to_image", "StableDiffusionImg2ImgPipeline"),
    ],
)
def test_pictures_from_pictures_equal_diffusers(served: Served, name: str, kind: str, pipeline: str) -> None:
    image, mask = scene()
    family = served.family(name, f"_{kind}")
    settings: dict[str, Any] = {"INIT_IMAGE": image, "STRENGTH": 0.4, "STEPS": 8, "GUIDANCE_SCALE": 6.0, "SEED": SEED}
    theirs: dict[str, Any] = {"image": Image.fromarray(image), "strength": 0.4, "num_inference_steps": 8}
    if kind == "inpaint":
        settings["MASK"] = mask
        theirs |= {"mask_image": Image.fromarray(mask[:, :, 0]), "width": PIXELS, "height": PIXELS}
    latents, picture = paint(served.pipeline(name, pipeline), prompt=PROMPT, guidance_scale=6.0, **theirs)
    assert psnr(family.picture(kind=kind, PROMPT=PROMPT, **settings).image, picture) >= CLOSE_DB
    if kind == "inpaint":
        asked = {key: value for key, value in settings.items() if key not in ("INIT_IMAGE", "MASK")}
        assert_close(family.latents(PROMPT, **asked, **family.masked(image, mask)), latents)
    others: Mapping[str, dict[str, Any]] = {
        "prompt": {"PROMPT": OTHER_PROMPT},
        "guidance": {"GUIDANCE_SCALE": 1.5},
        "steps": {"STEPS": 3},
        "init image": {"INIT_IMAGE": 255 - image},
    }
    for setting, change in others.items():
        other = family.picture(kind=kind, **{"PROMPT": PROMPT, **settings, **change})
        assert psnr(other.image, picture) < FAR_DB, f"another {setting} makes the same picture"


def test_pictures_with_conditions_of_their_own_share_the_steps_of_a_batch(served: Served) -> None:
    family = served.family("sdxl")
    settings: dict[str, Any] = {"STEPS": 3, "GUIDANCE_SCALE": 1.0, "SEED": SEED}
    each = [{"PROMPT": PROMPT}, {"PROMPT": OTHER_PROMPT, "TIME_IDS": OTHER_TIME_IDS}]
    alone = [family.picture(**settings | inputs).image for inputs in each]
    # Two for each core, which takes steps of its own.
    cores = len(os.sched_getaffinity(0))
    together = family.pictures(
        [settings | {"TIME_IDS": (PIXELS, PIXELS, 0, 0, PIXELS, PIXELS)} | inputs for inputs in each * cores]
    )
    for made, one in zip(together, alone * cores, strict=True):
        assert made.info["mean_rows"] == 2
        assert psnr(made.image, one) >= CLOSE_DB
