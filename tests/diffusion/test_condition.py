"""What UNet rows are conditioned on: as diffusers feeds it, a row of its own for every picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest
import torch
from diffusers import LatentConsistencyModelPipeline
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg
from diffusion_engine.condition import ConditionFormat, Text, embed_guidance
from diffusion_engine.errors import InvalidRequest, UnsupportedConfig
from diffusion_engine.generation import Generation
from diffusion_engine.inputs import Inputs, LatentFormat
from diffusion_engine.picture import Picture
from diffusion_engine.scheduler_config import SchedulerConfig
from diffusion_engine.start import start_from_noise
from diffusion_engine.step import BatchStep
from diffusion_engine.tables import tables_of

Array = npt.NDArray[np.float32]

XL = ConditionFormat(text_width=6, pooled_width=4, time_ids=6)
LCM = ConditionFormat(text_width=6, guidance_width=16)
PICTURE = Picture(width=96, height=64, steps=3, guidance_scale=5.0, sampler="ddim", seed=1)
TEXT = Text(np.ones((3, 6), np.float32), np.ones(4, np.float32))
CONFIG = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "clip_sample": False}


class RecordingUNet:
    """Answers with noise and keeps what it was fed."""

    condition_shapes: ClassVar = {"encoder_hidden_states": (None, 6), "text_embeds": (4,), "time_ids": (6,)}
    sample_channels = 4

    def __init__(self) -> None:
        self.fed: Mapping[str, Array] = {}
        self.output = np.empty(0, np.float32)

    def run(self, sample: Array, timestep: Array, conditions: Mapping[str, Array], one_core: bool = False) -> Array:
        self.fed = conditions
        self.output = np.random.default_rng(0).standard_normal(sample.shape, np.float32)
        return self.output.copy()


def begin(picture: Picture, prompt: Text, negative: Text | None, form: ConditionFormat) -> Generation:
    inputs = Inputs(picture, prompt, negative)
    table = tables_of(SchedulerConfig.from_json(CONFIG))(picture.sampler, picture.steps, 1.0)
    start = start_from_noise(picture, table, (4, picture.height // 8, picture.width // 8))
    return Generation.begin("", picture, table, *inputs.conditions(form), start)


def text(value: float) -> Text:
    return Text(np.full((3, 6), value, np.float32), np.full(4, value, np.float32))


@pytest.mark.parametrize("scale", [0.0, 1.0, 2.5, 8.5])
@pytest.mark.parametrize("width", [16, 17, 256])
def test_guidance_is_embedded_as_by_the_pipeline(scale: float, width: int) -> None:
    embed: Any = LatentConsistencyModelPipeline.get_guidance_scale_embedding
    expected = embed(None, torch.tensor([scale - 1]), embedding_dim=width)[0].numpy()
    np.testing.assert_allclose(embed_guidance(scale, width), expected, atol=1e-3)


def test_every_row_of_a_batch_has_its_own_conditions() -> None:
    session = RecordingUNet()
    other = replace(PICTURE, guidance_scale=1.0, time_ids=(300, 200, 40, 10, 128, 256))
    batch = [begin(PICTURE, text(1), text(-1), XL), begin(other, text(2), text(-2), XL)]
    rows, _ = BatchStep(session)(batch)  # type: ignore[arg-type]
    assert rows == 3
    # Both prompts, and behind them the negative one of the picture that is guided.
    assert session.fed["encoder_hidden_states"][:, 0, 0].tolist() == [1, 2, -1]
    assert session.fed["text_embeds"][:, 0].tolist() == [1, 2, -1]
    own = [64, 96, 0, 0, 64, 96]
    assert session.fed["time_ids"].tolist() == [own, [300, 200, 40, 10, 128, 256], own]


def test_a_model_that_embeds_its_guidance_takes_one_row() -> None:
    generation = begin(PICTURE, Text(TEXT.embeddings), Text(TEXT.embeddings), LCM)
    assert generation.rows == 1
    np.testing.assert_array_equal(generation.prompt["timestep_cond"], embed_guidance(5.0, 16))


def test_guidance_is_rescaled_as_by_the_pipeline() -> None:
    session = RecordingUNet()
    scales = [(5.0, 0.7), (3.0, 0.0)]
    pictures = [replace(PICTURE, guidance_scale=scale, guidance_rescale=rescale) for scale, rescale in scales]
    batch = [begin(picture, text(1), text(-1), XL) for picture in pictures]
    BatchStep(session)(batch)  # type: ignore[arg-type]
    output = torch.from_numpy(session.output)
    for index, (scale, rescale) in enumerate(scales):
        conditional, unconditional = output[index : index + 1], output[index + 2 : index + 3]
        guided = unconditional + scale * (conditional - unconditional)
        expected = rescale_noise_cfg(guided, conditional, rescale)[0].numpy() if rescale else guided[0].numpy()
        seen = batch[index].seen
        assert seen is not None
        np.testing.assert_allclose(seen[2], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("inputs", "form", "sentence"),
    [
        (Inputs(PICTURE, Text(TEXT.embeddings), TEXT), XL, "PROMPT_POOLED has the shape None; it must be (4,)"),
        (Inputs(PICTURE, TEXT, Text(TEXT.embeddings)), XL, "NEGATIVE_PROMPT_POOLED has the shape None"),
        (Inputs(PICTURE, TEXT, TEXT), LCM, "PROMPT_POOLED has the shape (4,); it must be None"),
        (Inputs(replace(PICTURE, time_ids=(1.0,)), TEXT, TEXT), XL, "TIME_IDS holds 1 numbers; this model takes 6"),
        (
            Inputs(replace(PICTURE, time_ids=(1.0,)), Text(TEXT.embeddings), None),
            LCM,
            "TIME_IDS holds 1 numbers; this model takes none",
        ),
        (
            Inputs(replace(PICTURE, guidance_until=0.5), Text(TEXT.embeddings), None),
            LCM,
            "This model takes its guidance as one number",
        ),
    ],
)
def test_what_does_not_fit_is_named(inputs: Inputs, form: ConditionFormat, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        inputs.check(LatentFormat(4, 8, form, takes_conditioning=False))
    assert str(caught.value).startswith(sentence)


def test_a_graph_is_read_by_the_names_of_its_inputs() -> None:
    shapes = {"encoder_hidden_states": (None, 6), "timestep_cond": (16,)}
    assert ConditionFormat.of(shapes) == LCM
    assert ConditionFormat.of(RecordingUNet.condition_shapes) == XL
    with pytest.raises(UnsupportedConfig, match="class_labels"):
        ConditionFormat.of({**shapes, "class_labels": (1,)})
    with pytest.raises(UnsupportedConfig, match="encoder_hidden_states"):
        ConditionFormat.of({"encoder_hidden_states": (None, None)})
