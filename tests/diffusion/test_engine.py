"""The engine's loop on a small UNet of numpy: batching, isolation, cancel, deadline, drain."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pytest
from diffusion_engine import control
from diffusion_engine.condition import Text
from diffusion_engine.engine import Engine
from diffusion_engine.errors import (
    Cancelled,
    DeadlineExceeded,
    DeadlineUnreachable,
    Draining,
    DuplicateRequest,
    InvalidRequest,
    StepFailed,
    WaitingRoomFull,
)
from diffusion_engine.init_image import InitImage, Mask, Posterior
from diffusion_engine.inputs import Inputs
from diffusion_engine.parameters import EngineParameters
from diffusion_engine.picture import Picture
from diffusion_engine.request import Answer, FinishedPicture
from diffusion_engine.scheduler_config import SchedulerConfig
from diffusion_engine.step_cost import StepCost
from diffusion_engine.tables import tables_of

Array = npt.NDArray[np.float32]

WIDTH = 6
POISON = 1e6
CONFIG = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "steps_offset": 1,
    "set_alpha_to_one": False,
    "clip_sample": False,
}
PARAMETERS = EngineParameters(
    latent_channels=4,
    vae_scale_factor=8,
    scaling_factor=0.5,
    max_rows=16,
    max_waiting=32,
    intra_op_thread_count=1,
    providers=("cpu",),
)


# Seconds by rows at 64x64 pixels, about what the UNet below takes.
COST = StepCost.from_curve(64, {1: 1e-5, 16: 16e-5}, max_rows=16)


class NumpyUNet:
    """Depends on latents, timestep and text of its own row only; a poisoned row fails the call, as ONNX Runtime would.

    `gate` holds the steps back until it is set, so that a test decides who is in flight when.
    """

    condition_shapes: ClassVar = {"encoder_hidden_states": (None, WIDTH)}
    sample_channels = 4

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self.gate = threading.Event()
        self.gate.set()
        self.calls = 0
        self.hold_after = 0
        self.waiting = 0
        self.on_one_core: list[bool] = []

    def run(self, sample: Array, timestep: Array, conditions: Mapping[str, Array], one_core: bool) -> Array:
        self.waiting += 1
        self.gate.wait(30)
        self.waiting -= 1
        self.on_one_core.append(one_core)
        self.calls += 1
        if self.calls == self.hold_after:
            self.gate.clear()
            self.gate.wait(30)
        embeddings = conditions["encoder_hidden_states"]
        if (embeddings == POISON).any():
            raise RuntimeError("poisoned row")
        text = embeddings.mean(axis=(1, 2))[:, None, None, None]
        return np.tanh(sample * 0.7 + text + np.sin(timestep / 90)[:, None, None, None]).astype(np.float32)


class Answers:
    """Collects the answers of requests by id; each id must be answered exactly once."""

    def __init__(self) -> None:
        self._queue: queue.Queue[tuple[str, Answer]] = queue.Queue()
        self._seen: dict[str, Answer] = {}

    def of(self, request_id: str) -> Answer:
        while request_id not in self._seen:
            name, answer = self._queue.get(timeout=30)
            assert name not in self._seen, f"{name} was answered twice"
            self._seen[name] = answer
        return self._seen[request_id]

    def pictures(self, request_id: str) -> list[FinishedPicture]:
        answer = self.of(request_id)
        assert isinstance(answer, list), answer
        return answer

    def put(self, request_id: str, answer: Answer) -> None:
        self._queue.put((request_id, answer))


@pytest.fixture(params=[1, 2, 3], ids=lambda workers: f"workers-{workers}")
def unet(request: pytest.FixtureRequest) -> NumpyUNet:
    return NumpyUNet(request.param)


one_worker = pytest.mark.parametrize("unet", [1], indirect=True)


@pytest.fixture
def engine(unet: NumpyUNet) -> Iterator[Engine]:
    engine = Engine(unet, tables_of(SchedulerConfig.from_json(CONFIG)), PARAMETERS, COST)  # type: ignore[arg-type]
    engine.start()
    yield engine
    unet.gate.set()
    engine.drain(10)


@pytest.fixture
def answers() -> Answers:
    return Answers()


def picture(seed: int = 1, **changes: object) -> Picture:
    settings = {"width": 64, "height": 64, "steps": 6, "guidance_scale": 5.0, "sampler": "ddim", "seed": seed}
    return Picture(**{**settings, **changes})  # type: ignore[arg-type]


def submit(
    engine: Engine,
    answers: Answers,
    name: str,
    *pictures: Picture,
    text: float = 0.3,
    deadline: float | None = None,
    tokens: int = 3,
    init_image: InitImage | None = None,
    reserve: float = 0.0,
) -> None:
    prompt = np.full((tokens, WIDTH), text, np.float32)
    inputs = [Inputs(each, Text(prompt), Text(np.zeros_like(prompt)), init_image) for each in pictures]
    engine.submit(name, inputs, deadline, lambda answer: answers.put(name, answer), reserve)


def hold_at_first_step(engine: Engine, unet: NumpyUNet, answers: Answers, name: str) -> None:
    """Lets one request take its first step and keeps it there."""
    unet.gate.clear()
    submit(engine, answers, name, picture(0))
    while engine.counts() != (1, 0):
        time.sleep(0.001)


def init_image(masked: bool) -> InitImage:
    rng = np.random.default_rng(5)
    posterior = Posterior(*rng.random((2, 4, 8, 8), np.float32))
    return InitImage(posterior, Mask(np.float32(rng.random((1, 8, 8)) > 0.5), posterior) if masked else None)


def mixed_pictures() -> list[Picture]:
    return [
        picture(1, sampler="ddim", steps=4, guidance_scale=1.0),
        picture(2, sampler="euler", steps=14, guidance_scale=7.5, strength=0.6),
        picture(3, sampler="euler_a", steps=14, guidance_scale=3.0, strength=0.5),
        picture(4, sampler="dpmpp_2m", steps=12, guidance_scale=12.0),
        picture(5, sampler="dpmpp_2m_karras", steps=5, guidance_scale=2.0),
        picture(6, sampler="lcm", steps=4, guidance_scale=0.0),
        picture(7, sampler="euler_a", steps=7, guidance_scale=4.0, variation_seed=9, variation_strength=0.4),
        picture(8, sampler="ddim", steps=8, guidance_scale=6.0, guidance_from=0.2, guidance_until=0.7),
    ]


def test_a_mixed_batch_makes_the_pictures_each_would_be_alone(
    engine: Engine, unet: NumpyUNet, answers: Answers
) -> None:
    wanted = mixed_pictures()
    inits = [None, init_image(masked=False), init_image(masked=True), *[None] * 5]
    for index, each in enumerate(wanted):
        submit(engine, answers, f"alone-{index}", each, text=0.1 * index, init_image=inits[index])
        answers.of(f"alone-{index}")
    unet.gate.clear()
    submit(engine, answers, "first", picture(99, steps=1))
    for index, each in enumerate(wanted):
        submit(engine, answers, f"together-{index}", each, text=0.1 * index, init_image=inits[index])
    unet.gate.set()
    for index in range(len(wanted)):
        alone = answers.pictures(f"alone-{index}")[0].latents
        together = answers.pictures(f"together-{index}")[0].latents
        np.testing.assert_allclose(together, alone, atol=1e-4 * np.abs(alone).max())
    everyone = {f"together-{index}" for index in range(len(wanted))}
    shared = [set(step.ids) for step in engine.record.last(100) if len(step.ids) > 1]
    # The first worker past the gate takes all that is free, which leaves the other one picture to itself at the most.
    assert len(everyone.difference(*shared)) < unet.workers
    assert any(everyone <= ids for ids in shared) or unet.workers > 1


@one_worker
def test_pictures_leave_with_their_last_step_and_latecomers_join(
    engine: Engine, unet: NumpyUNet, answers: Answers
) -> None:
    unet.gate.clear()
    submit(engine, answers, "long", picture(1, steps=20))
    submit(engine, answers, "short", picture(2, steps=5))
    unet.gate.set()
    answers.of("short")
    submit(engine, answers, "late", picture(3, steps=5))
    answers.of("late")
    answers.of("long")
    steps = engine.record.last(100)
    assert sum("short" in step.ids for step in steps) == 5
    assert sum("long" in step.ids for step in steps) == 20
    assert any({"long", "short"} <= set(step.ids) for step in steps)
    assert engine.counts() == (0, 0)


def test_guidance_costs_a_row_only_where_it_is_on(engine: Engine, answers: Answers) -> None:
    submit(engine, answers, "on", picture(1, steps=4))
    answers.of("on")
    submit(engine, answers, "off", picture(1, steps=4, guidance_scale=1.0))
    answers.of("off")
    submit(engine, answers, "half", picture(1, steps=4, guidance_until=0.5))
    answers.of("half")
    rows = {name: [step.rows for step in engine.record.last(100) if name in step.ids] for name in ("on", "off", "half")}
    assert rows == {"on": [2, 2, 2, 2], "off": [1, 1, 1, 1], "half": [2, 2, 1, 1]}


def test_pictures_of_one_request_are_answered_together(engine: Engine, answers: Answers) -> None:
    submit(engine, answers, "three", picture(1, steps=3), picture(2, steps=9), picture(3, steps=5))
    assert [each.picture.seed for each in answers.pictures("three")] == [1, 2, 3]


def test_one_failing_picture_does_not_take_its_batch_along(engine: Engine, unet: NumpyUNet, answers: Answers) -> None:
    submit(engine, answers, "alone", picture(1))
    alone = answers.pictures("alone")[0].latents
    unet.gate.clear()
    submit(engine, answers, "good", picture(1))
    submit(engine, answers, "bad", picture(2), text=POISON)
    submit(engine, answers, "also-good", picture(3))
    unet.gate.set()
    assert isinstance(answers.of("bad"), StepFailed)
    np.testing.assert_allclose(answers.pictures("good")[0].latents, alone, atol=1e-5)
    answers.pictures("also-good")


def test_latents_that_are_not_finite_are_an_error(engine: Engine, answers: Answers) -> None:
    submit(engine, answers, "nan", picture(1), text=float("nan"))
    submit(engine, answers, "good", picture(2))
    assert isinstance(answers.of("nan"), StepFailed)
    answers.pictures("good")


def test_cancel_ends_within_one_step_and_frees_the_room(engine: Engine, unet: NumpyUNet, answers: Answers) -> None:
    hold_at_first_step(engine, unet, answers, "kept")
    submit(engine, answers, "ended", picture(2, steps=50))
    assert engine.cancel(["ended", "never-seen"]) == (["ended"], ["never-seen"])
    assert isinstance(answers.of("ended"), Cancelled)
    unet.gate.set()
    answers.pictures("kept")
    assert sum("ended" in step.ids for step in engine.record.last(100)) <= 1
    assert engine.counts() == (0, 0)


def test_a_cancel_that_comes_first_is_remembered(engine: Engine, answers: Answers) -> None:
    engine.cancel(["early"])
    with pytest.raises(Cancelled):
        submit(engine, answers, "early", picture(1))
    submit(engine, answers, "early", picture(1))
    answers.pictures("early")


def test_a_passed_deadline_ends_waiting_and_running_requests(engine: Engine, unet: NumpyUNet, answers: Answers) -> None:
    unet.gate.clear()
    for index in range(9):
        submit(engine, answers, f"timed-{index}", picture(index, steps=50), deadline=time.monotonic() + 0.1)
    submit(engine, answers, "patient", picture(10))
    time.sleep(0.15)
    unet.gate.set()
    for index in range(9):
        assert isinstance(answers.of(f"timed-{index}"), DeadlineExceeded)
    answers.pictures("patient")


def test_a_deadline_that_cannot_be_met_is_refused_at_once(engine: Engine, unet: NumpyUNet, answers: Answers) -> None:
    hold_at_first_step(engine, unet, answers, "before")
    with pytest.raises(DeadlineUnreachable, match=r"may take up to .* s, waiting included, and has"):
        submit(engine, answers, "hopeless", picture(1, steps=900), deadline=time.monotonic() + 0.01)
    unet.gate.set()
    answers.pictures("before")


def test_the_reserve_is_for_what_comes_after_the_steps(engine: Engine, unet: NumpyUNet, answers: Answers) -> None:
    hold_at_first_step(engine, unet, answers, "before")
    with pytest.raises(DeadlineUnreachable, match=r"and has 0\.00 s"):
        submit(engine, answers, "late", picture(1), deadline=time.monotonic() + 60, reserve=60.0)
    submit(engine, answers, "in time", picture(1), deadline=time.monotonic() + 60, reserve=1.0)
    unet.gate.set()
    answers.pictures("in time")


def test_without_others_a_short_deadline_is_tried(engine: Engine, answers: Answers) -> None:
    submit(engine, answers, "hurried", picture(1, steps=900), deadline=time.monotonic() + 0.01)
    assert isinstance(answers.of("hurried"), DeadlineExceeded)


def test_an_id_in_flight_is_refused(engine: Engine, unet: NumpyUNet, answers: Answers) -> None:
    unet.gate.clear()
    submit(engine, answers, "twice", picture(1))
    with pytest.raises(DuplicateRequest):
        submit(engine, answers, "twice", picture(2))
    unet.gate.set()
    assert answers.pictures("twice")[0].picture.seed == 1


def test_a_full_waiting_room_refuses_and_loses_nobody(engine: Engine, unet: NumpyUNet, answers: Answers) -> None:
    unet.gate.clear()
    names = []
    with pytest.raises(WaitingRoomFull):
        for index in range(100):
            submit(engine, answers, f"r{index}", picture(index, steps=2))
            names.append(f"r{index}")
    assert len(names) >= PARAMETERS.max_waiting
    unet.gate.set()
    for name in names:
        answers.pictures(name)
    assert engine.counts() == (0, 0)


def test_sizes_and_text_lengths_are_not_mixed_in_a_step(engine: Engine, unet: NumpyUNet, answers: Answers) -> None:
    unet.gate.clear()
    submit(engine, answers, "small", picture(1))
    submit(engine, answers, "wide", picture(2, width=128))
    submit(engine, answers, "wordy", picture(3), tokens=6)
    unet.gate.set()
    assert answers.pictures("wide")[0].latents.shape == (4, 8, 16)
    answers.pictures("small")
    answers.pictures("wordy")
    assert all(len(step.ids) == 1 for step in engine.record.last(100))


def test_drain_finishes_what_it_can_and_answers_the_rest(unet: NumpyUNet, answers: Answers) -> None:
    engine = Engine(unet, tables_of(SchedulerConfig.from_json(CONFIG)), PARAMETERS, COST)  # type: ignore[arg-type]
    engine.start()
    submit(engine, answers, "finishes", picture(1, steps=20))
    engine.drain(30)
    answers.pictures("finishes")
    with pytest.raises(Draining):
        submit(engine, answers, "late", picture(2))

    stuck = Engine(unet, tables_of(SchedulerConfig.from_json(CONFIG)), PARAMETERS, COST)  # type: ignore[arg-type]
    stuck.start()
    unet.gate.clear()
    submit(stuck, answers, "stuck", picture(3))
    drained = threading.Thread(target=stuck.drain, args=(0.1,))
    drained.start()
    assert isinstance(answers.of("stuck"), Draining)
    unet.gate.set()
    drained.join(30)
    assert not drained.is_alive()


@one_worker
def test_control_tells_where_requests_stand(engine: Engine, unet: NumpyUNet, answers: Answers) -> None:
    hold_at_first_step(engine, unet, answers, "r0")
    for index in range(1, 10):
        submit(engine, answers, f"r{index}", picture(index))
    status = json.loads(control.answer(engine, b'{"op": "status", "ids": ["r0", "r9", "nobody"]}').status)
    assert status["active"] == 1 and status["waiting"] == 9
    assert status["generations"]["r0"] == {"state": "running", "step": 0, "steps": 6}
    assert status["generations"]["r9"] == {"state": "waiting", "position": 9}
    assert status["generations"]["nobody"] == {"state": "unknown"}
    assert json.loads(control.answer(engine, b'{"op": "cancel", "ids": ["r5", "x"]}').status) == {
        "cancelled": ["r5"],
        "remembered": ["x"],
    }
    unet.gate.set()
    answers.pictures("r9")
    steps = json.loads(control.answer(engine, b'{"op": "record", "last": 2}').status)["steps"]
    assert len(steps) == 2 and steps[-1]["rows"] > 0 and steps[-1]["width"] == 64


def test_a_preview_is_the_picture_estimated_at_the_last_step(engine: Engine, unet: NumpyUNet, answers: Answers) -> None:
    assert control.answer(engine, b'{"op": "preview", "id": "nobody"}').preview is None
    hold_at_first_step(engine, unet, answers, "r")
    assert control.answer(engine, b'{"op": "preview", "id": "r"}').preview is None
    unet.hold_after = unet.calls + 6
    unet.gate.set()
    while (progress := engine.progress("r")) is None or progress.step < 5:
        time.sleep(0.001)
    preview = control.answer(engine, b'{"op": "preview", "id": "r"}').preview
    assert preview is not None and preview.shape == (4, 8, 8)
    unet.gate.set()
    # The last step of ddim goes to the estimate made in it, which is close to the one before.
    final = answers.pictures("r")[0].latents
    assert np.linalg.norm(preview - final) < 0.2 * np.linalg.norm(final)


@pytest.mark.parametrize(
    "order",
    [b"", b"[]", b"\xff", b'{"op": "explode"}', b'{"op": "cancel", "ids": "r1"}', b'{"op": "status", "ids": [1]}',
     b'{"op": "record"}', b'{"op": "record", "last": 0}'],
)  # fmt: skip
def test_a_wrong_control_request_is_refused(engine: Engine, order: bytes) -> None:
    with pytest.raises(InvalidRequest, match="CONTROL"):
        control.answer(engine, order)


@pytest.mark.parametrize("unet", [2], indirect=True)
def test_workers_take_their_steps_side_by_side_and_one_takes_those_of_a_picture_alone(
    engine: Engine, unet: NumpyUNet, answers: Answers
) -> None:
    unet.gate.clear()
    for name in ("a", "b", "c", "d"):
        submit(engine, answers, name, picture(1, steps=3))
    while unet.waiting < 2:
        time.sleep(0.001)
    unet.gate.set()
    for name in ("a", "b", "c", "d"):
        answers.of(name)
    submit(engine, answers, "alone", picture(1, steps=5))
    answers.of("alone")
    steps = engine.record.last(100)
    assert [step.index for step in steps] == list(range(1, len(steps) + 1))
    assert sum("alone" in step.ids for step in steps) == 5
    assert any(unet.on_one_core) and not any(unet.on_one_core[-5:])
