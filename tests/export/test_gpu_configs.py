"""Families aimed at a GPU: what `config.pbtxt` says then, and what is said where nothing can be built."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

from export import tensorrt_plan
from export.compatibility import check_compatible
from export.config_text import from_text, to_text
from export.ensembles import ensembles
from export.errors import IncompatibleFamily, TargetUnavailable
from export.family import ExportReport, export_family
from export.family_parameters import FamilyParameters
from export.gpu_configs import TENSORRT_BATCH, TENSORRT_ROWS, aim_cuda, aim_tensorrt, check_target
from export.graph_writer import GraphWriter
from export.loading import load
from export.model_configs import composing_models
from export.options import ExportOptions
from export.precision import Precision
from export.repository import Repository
from export.target import Target
from tests.checkpoint import CHECKPOINT

ON_GPU = {"text_encoder", "vae_decoder", "vae_encoder", "inpaint_encoder"}


class Aimed:
    """A family's configurations, and the writer of its graphs."""

    def __init__(self, options: ExportOptions) -> None:
        checkpoint = load(options)
        parameters = FamilyParameters.derive(checkpoint, options, 1)
        self.parts = composing_models(checkpoint, parameters)
        self.fronts = ensembles(checkpoint, parameters)
        self.writer = GraphWriter(checkpoint, parameters, options.precision)


@pytest.fixture
def family(tmp_path: Path) -> Aimed:
    return Aimed(ExportOptions(str(CHECKPOINT), "fast", tmp_path / "repository"))


def parameters(config: ModelConfig) -> dict[str, str]:
    return {key: value.string_value for key, value in config.parameters.items()}


def test_cuda_places_graphs_on_one_gpu_and_tells_the_engine(family: Aimed) -> None:
    aim_cuda(family.parts.values())
    for part, config in family.parts.items():
        group = config.instance_group[0]
        on_gpu = part in ON_GPU
        assert (group.count, group.kind) == (
            1,
            ModelInstanceGroup.KIND_GPU if on_gpu else ModelInstanceGroup.KIND_CPU,
        ), part
        assert list(group.gpus) == ([0] if on_gpu else [])
        assert len(config.instance_group) == 1
        assert from_text(to_text(config)) == config
        assert "memory.enable_memory_arena_shrinkage" not in config.parameters
    assert parameters(family.parts["unet"])["providers"] == "cuda"


@pytest.mark.parametrize("precision", Precision)
def test_tensorrt_takes_plans_and_shapes_from_the_familys_limits(family: Aimed, precision: Precision) -> None:
    aim_tensorrt((*family.parts.values(), *family.fronts), family.writer.shapes("unet", *TENSORRT_ROWS), precision)
    for part, config in family.parts.items():
        assert (config.platform == "tensorrt_plan") == (part in ON_GPU), part
        assert config.max_batch_size == TENSORRT_BATCH[1]
        assert from_text(to_text(config)) == config
        if part in ON_GPU:
            assert config.backend == "tensorrt"
            assert not config.parameters
    # Triton refuses an ensemble whose batches are larger than those of a step.
    assert {config.max_batch_size for config in family.fronts} == {TENSORRT_BATCH[1]}
    unet = parameters(family.parts["unet"])
    assert unet["providers"] == "tensorrt,cuda"
    assert unet["row_limit"] == "8"
    assert unet["trt_fp16_enable"] == ("1" if precision is Precision.FP16 else "0")
    # The demo: 64 to 256 pixels, native 128, windows of 48 tokens.
    assert unet["trt_profile_min_shapes"] == "sample:1x4x8x8,timestep:1,encoder_hidden_states:1x48x128"
    assert unet["trt_profile_opt_shapes"] == "sample:4x4x16x16,timestep:4,encoder_hidden_states:4x48x128"
    assert unet["trt_profile_max_shapes"] == "sample:8x4x32x32,timestep:8,encoder_hidden_states:8x192x128"


def test_the_engine_reads_the_limit_and_never_exceeds_it(family: Aimed) -> None:
    from diffusion_engine.parameters import EngineParameters
    from diffusion_engine.step_cost import StepCost

    aim_tensorrt(family.parts.values(), family.writer.shapes("unet", *TENSORRT_ROWS), Precision.FP16)
    engine = EngineParameters.from_parameters(parameters(family.parts["unet"]))
    assert engine.providers == ("tensorrt", "cuda")
    cost = StepCost.from_curve(256, {1: 1.0, 8: 2.0}, max_rows=16, limit=engine.row_limit)
    assert [cost.budget_at(pixels) for pixels in (64, 256, 1024)] == [8, 8, 4]


def test_pictures_of_every_size_are_within_the_shapes(family: Aimed) -> None:
    decoder = family.writer.shapes("vae_decoder", *TENSORRT_BATCH)
    assert decoder.least == {"LATENTS": (1, 4, 8, 8)}
    assert decoder.usual == {"LATENTS": (1, 4, 16, 16)}
    assert decoder.most == {"LATENTS": (4, 4, 32, 32)}
    assert family.writer.shapes("text_encoder", *TENSORRT_BATCH).most == {"INPUT_IDS": (4, 192)}
    encoder = family.writer.shapes("inpaint_encoder", *TENSORRT_BATCH).most
    assert encoder == {"IMAGE": (4, 256, 256, 3), "MASK": (4, 256, 256, 1)}


@pytest.mark.parametrize(
    ("installed", "words"),
    [
        (None, r"pip install -e \.\[export,tensorrt\]"),
        ("8.6.1", "TensorRT 8.6.1 is installed; the export needs version 10"),
        ("10.9.0.34", "finds none here"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_loaded(
    installed: str | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = None
    if installed is not None:
        module = ModuleType("tensorrt")
        module.__version__ = installed  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    monkeypatch.setattr(tensorrt_plan.nvidia, "first_gpu", lambda: None)
    options = ExportOptions("nowhere", "fast", tmp_path / "repository", target=Target.TENSORRT)
    with pytest.raises(TargetUnavailable, match=words):
        export_family(options, lambda sentence: None)
    assert list(tmp_path.iterdir()) == []


def test_versions_of_one_family_have_one_target(exported: ExportReport, family: Aimed) -> None:
    config = family.parts["vae_decoder"]
    config.name = "demo_vae_decoder"
    check_compatible(Repository(exported.repository), [config])
    aim_tensorrt([config], family.writer.shapes("unet", *TENSORRT_ROWS), Precision.FP32)
    with pytest.raises(IncompatibleFamily, match="runs on onnxruntime, this checkpoint's on tensorrt"):
        check_compatible(Repository(exported.repository), [config])


def test_a_version_for_cuda_does_not_join_a_family_on_the_cpu(exported: ExportReport, family: Aimed) -> None:
    unet = family.parts["unet"]
    unet.name = "demo_unet"
    check_target(Repository(exported.repository), [unet])
    aim_cuda([unet])
    with pytest.raises(IncompatibleFamily, match="runs by cpu, this export by cuda"):
        check_target(Repository(exported.repository), [unet])
