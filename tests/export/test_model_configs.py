"""`config.pbtxt` of every model: parsed back, and as fronts and backends expect it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig, ModelInstanceGroup

from export.config_text import from_text, to_text
from export.family import ExportReport
from export.model_configs import PARTS
from tests.checkpoint import CHECKPOINT

ENSEMBLES = ["demo", "demo_image_to_image", "demo_inpaint"]
MODELS = [*(f"demo_{part}" for part in PARTS if part != "text_encoder_2"), *ENSEMBLES, "catalog"]
SETTINGS = {
    "PROMPT": ("STRING", [1], False),
    "NEGATIVE_PROMPT": ("STRING", [1], True),
    "SEED": ("INT64", [1], False),
    "STEPS": ("INT32", [1], True),
    "GUIDANCE_SCALE": ("FP32", [1], True),
    "GUIDANCE_RESCALE": ("FP32", [1], True),
    "GUIDANCE_INTERVAL": ("FP32", [2], True),
    "SAMPLER": ("STRING", [1], True),
    "VARIATION_SEED": ("INT64", [1], True),
    "VARIATION_STRENGTH": ("FP32", [1], True),
    "PRIORITY": ("INT32", [1], True),
}
# What each ensemble takes beside them.
OTHER_INPUTS = {
    "demo": {"WIDTH": ("INT32", [1], True), "HEIGHT": ("INT32", [1], True)},
    "demo_image_to_image": {"INIT_IMAGE": ("UINT8", [-1, -1, 3], False), "STRENGTH": ("FP32", [1], False)},
    "demo_inpaint": {
        "INIT_IMAGE": ("UINT8", [-1, -1, 3], False),
        "MASK": ("UINT8", [-1, -1, 1], False),
        "STRENGTH": ("FP32", [1], False),
    },
}


def read(repository: Path, model: str) -> ModelConfig:
    return from_text((repository / model / "config.pbtxt").read_text())


def tensors(declared: object) -> dict[str, tuple[str, list[int], bool]]:
    return {
        tensor.name: (
            DataType.Name(tensor.data_type).removeprefix("TYPE_"),
            list(tensor.dims),
            getattr(tensor, "optional", False),
        )
        for tensor in declared  # type: ignore[attr-defined]
    }


@pytest.mark.parametrize("model", MODELS)
def test_it_parses_back_to_the_same_text(exported: ExportReport, model: str) -> None:
    text = (exported.repository / model / "config.pbtxt").read_text()
    assert to_text(from_text(text)) == text


@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_batched_keeps_all_versions_and_has_one_instance(exported: ExportReport, model: str) -> None:
    config = read(exported.repository, model)
    assert config.name == model
    assert config.max_batch_size == 16
    assert config.version_policy.WhichOneof("policy_choice") == "all"
    if model in ENSEMBLES:
        assert config.platform == "ensemble"
    else:
        assert [(group.count, group.kind) for group in config.instance_group] == [(1, ModelInstanceGroup.KIND_CPU)]
    queued = {"demo_text_encoder", "demo_vae_decoder", "demo_vae_encoder", "demo_inpaint_encoder"}
    assert config.HasField("dynamic_batching") == (model in queued)


def test_graphs_of_pictures_give_their_memory_back_and_keep_no_plan_for_every_shape(exported: ExportReport) -> None:
    for model in set(MODELS) - set(ENSEMBLES):
        parameters = {key: value.string_value for key, value in read(exported.repository, model).parameters.items()}
        of_pictures = model in ("demo_vae_decoder", "demo_vae_encoder", "demo_inpaint_encoder")
        assert parameters.get("memory.enable_memory_arena_shrinkage") == ("cpu:0" if of_pictures else None)
        assert parameters.get("enable_mem_pattern") == ("0" if of_pictures else None)


@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_an_ensemble_takes_what_a_person_may_set(exported: ExportReport, ensemble: str) -> None:
    config = read(exported.repository, ensemble)
    assert tensors(config.input) == SETTINGS | OTHER_INPUTS[ensemble]
    assert tensors(config.output) == {"IMAGE": ("UINT8", [-1, -1, 3], False), "INFO": ("STRING", [1], False)}


def test_the_inpaint_encoder_makes_all_that_the_unet_starts_from(exported: ExportReport) -> None:
    encoder = read(exported.repository, "demo_inpaint_encoder")
    assert tensors(encoder.input) == {"IMAGE": ("UINT8", [-1, -1, 3], False), "MASK": ("UINT8", [-1, -1, 1], False)}
    assert tensors(encoder.output) == {
        **{name: ("FP32", [4, -1, -1], False) for name in ("MEAN", "STD", "MASKED_MEAN", "MASKED_STD")},
        "LATENT_MASK": ("FP32", [1, -1, -1], False),
    }


def test_the_unet_takes_a_control_request_that_has_nothing_else(exported: ExportReport) -> None:
    unet = tensors(read(exported.repository, "demo_unet").input)
    settings = SETTINGS | OTHER_INPUTS["demo"] | {"STRENGTH": ("FP32", [1], False)}
    for prompt in ("PROMPT", "NEGATIVE_PROMPT"):
        del settings[prompt]
        assert unet.pop(f"{prompt}_EMBEDDINGS") == ("FP32", [-1, 128], True)
    for latents in ("INIT_MEAN", "INIT_STD", "MASKED_MEAN", "MASKED_STD"):
        assert unet.pop(latents) == ("FP32", [4, -1, -1], True)
    assert unet.pop("LATENT_MASK") == ("FP32", [1, -1, -1], True)
    assert unet.pop("CONTROL") == ("STRING", [1], True)
    assert unet == {name: (kind, dims, True) for name, (kind, dims, _) in settings.items()}


@pytest.mark.parametrize("name", ENSEMBLES)
def test_each_step_fits_the_model_that_it_names(exported: ExportReport, name: str) -> None:
    ensemble = read(exported.repository, name)
    known = {tensor: kind for tensor, (kind, _, _) in tensors(ensemble.input).items()}
    unused = set(known)
    for step in ensemble.ensemble_scheduling.step:
        assert step.model_version == 1
        model = read(exported.repository, step.model_name)
        inputs, outputs = tensors(model.input), tensors(model.output)
        for tensor, source in step.input_map.items():
            assert inputs[tensor][0] == known[source], (step.model_name, tensor)
        required = {tensor for tensor, (_, _, optional) in inputs.items() if not optional}
        assert required <= set(step.input_map)
        unused -= set(step.input_map.values())
        known |= {target: outputs[tensor][0] for tensor, target in step.output_map.items()}
    for tensor, (kind, _, _) in tensors(ensemble.output).items():
        assert known[tensor] == kind
    assert not unused


@pytest.mark.parametrize(
    ("ensemble", "encoder", "latents"),
    [
        ("demo_image_to_image", "demo_vae_encoder", {"INIT_MEAN": "MEAN", "INIT_STD": "STD"}),
        (
            "demo_inpaint",
            "demo_inpaint_encoder",
            {
                "INIT_MEAN": "MEAN",
                "INIT_STD": "STD",
                "MASKED_MEAN": "MASKED_MEAN",
                "MASKED_STD": "MASKED_STD",
                "LATENT_MASK": "LATENT_MASK",
            },
        ),
    ],
)
def test_the_unet_gets_what_the_encoder_makes(
    exported: ExportReport, ensemble: str, encoder: str, latents: dict[str, str]
) -> None:
    steps = {step.model_name: step for step in read(exported.repository, ensemble).ensemble_scheduling.step}
    made = {target: output for output, target in steps[encoder].output_map.items()}
    taken = steps["demo_unet"].input_map.items()
    assert {name: made[source] for name, source in taken if source in made} == latents


@pytest.mark.parametrize("ensemble", ["demo_image_to_image", "demo_inpaint"])
def test_only_one_ensemble_bears_the_familys_parameters(exported: ExportReport, ensemble: str) -> None:
    assert not read(exported.repository, ensemble).parameters


def test_the_family_describes_itself(exported: ExportReport) -> None:
    ensemble = read(exported.repository, "demo")
    parameters = {key: value.string_value for key, value in ensemble.parameters.items()}
    lists = {key: json.loads(parameters.pop(key)) for key in ("aliases", "samplers", "capabilities")}
    assert lists["aliases"] == ["starweave/demo"]
    assert lists["capabilities"] == ["text-to-image", "image-variation", "image-to-image", "inpainting"]
    assert parameters.pop("default_sampler") == "ddim"
    assert "ddim" in lists["samplers"]
    assert parameters.pop("description")
    assert parameters == {
        "family": "demo",
        "version": "1",
        "display_name": "Demo",
        "source": "export/demo/checkpoint",
        "native_width": "128",
        "native_height": "128",
        "min_size": "64",
        "max_size": "256",
        "size_multiple": "32",
        "size_policy": "fit",
        "default_steps": "20",
        "max_steps": "100",
        "default_guidance_scale": "5",
        "max_guidance_scale": "30",
        "default_guidance_rescale": "0",
        "max_prompt_characters": "1000",
    }


def test_the_engine_reads_the_same_limits_as_a_front(exported: ExportReport) -> None:
    from diffusion_engine.parameters import EngineParameters
    from diffusion_engine.picture import Family

    ensemble, unet = (
        {key: value.string_value for key, value in read(exported.repository, model).parameters.items()}
        for model in ("demo", "demo_unet")
    )
    assert Family.from_parameters(unet) == Family.from_parameters(ensemble)
    assert EngineParameters.from_parameters(unet).vae_scale_factor == 8


def test_the_engine_knows_the_latents(exported: ExportReport) -> None:
    parameters = {key: value.string_value for key, value in read(exported.repository, "demo_unet").parameters.items()}
    assert (parameters["latent_channels"], parameters["unet_channels"]) == ("4", "4")
    vae = json.loads((CHECKPOINT / "vae" / "config.json").read_text())
    assert float(parameters["scaling_factor"]) == vae["scaling_factor"]
    # The engine measures how many rows are worth while; only an operator bounds them.
    assert "max_rows" not in parameters
