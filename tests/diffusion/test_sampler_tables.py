"""The form of the coefficient tables, whatever the sampler."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from diffusion_engine.noise import NoiseStream
from diffusion_engine.samplers import SAMPLERS

from tests.diffusion.diffusers_oracle import (
    CASES,
    CONFIGS,
    DEMO,
    PREDICTION_TYPES,
    SHAPE,
    defined,
    scheduler,
    table_of,
)


@pytest.mark.parametrize(("name", "sampler", "prediction_type", "steps"), CASES)
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_table_is_well_formed(name: str, sampler: str, prediction_type: str, steps: int, strength: float) -> None:
    if int(steps * strength) < 1:
        strength = 1.0
    table = table_of(CONFIGS[name] | {"prediction_type": prediction_type}, sampler, steps, strength)
    rows = table.evaluations
    vectors = (table.c_in, table.P, table.Q, table.U, table.V, table.A, table.S, table.N, table.X, table.Y)
    vectors += (table.known_signal, table.known_noise)
    for values in vectors:
        assert values.shape == (rows,) and values.dtype == np.float64
    for values in (table.W, table.B):
        assert values.shape == (rows, 4) and values.dtype == np.float64
    for values in (*vectors, table.W, table.B, table.timesteps):
        assert np.isfinite(values).all()
    for values in (*vectors, table.W, table.B, table.timesteps, table.push, table.draws_noise):
        assert not values.flags.writeable
    assert not table.N[~table.draws_noise].any()
    pushed = np.cumsum(table.push) - table.push
    for k in range(1, 4):
        assert not table.B[pushed < k, k].any() and not table.W[pushed < k, k].any()
    assert table.S[0] == table.V[0] == 0
    # What is read was put there by the row before.
    read = (table.S != 0) | (table.V != 0)
    put = (table.U != 0) | (table.V != 0) | table.W.any(axis=1)
    assert put[:-1][read[1:]].all()
    assert (table.known_signal[-1], table.known_noise[-1]) == (1, 0)
    assert 0 <= table.init_signal <= 1 and table.init_noise > 0


@pytest.mark.parametrize(
    ("sampler", "taken", "evaluations"),
    [("ddim", 20, 20), ("heun", 20, 39), ("heun", 6, 11), ("heun", 1, 1), ("pndm", 20, 21), ("pndm", 6, 7)],
)
def test_evaluations(sampler: str, taken: int, evaluations: int) -> None:
    assert table_of(DEMO, sampler, 20, taken / 20).evaluations == evaluations


def test_one_step_of_pndm_is_one_evaluation() -> None:
    assert table_of(DEMO, "pndm", 1).evaluations == 1


@pytest.mark.parametrize(
    ("sampler", "history"), [("ddim", 0), ("dpmpp_2m", 1), ("heun", 1), ("unipc", 2), ("lms", 3), ("pndm", 3)]
)
def test_history_is_as_long_as_the_order_needs(sampler: str, history: int) -> None:
    assert table_of(DEMO, sampler, 20).history == history
    assert table_of(DEMO, sampler, 1).history == 0


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_only_samplers_that_return_to_latents_save_them(sampler: str) -> None:
    assert table_of(DEMO, sampler, 4).uses_saved == (sampler in ("heun", "pndm", "unipc"))


@pytest.mark.parametrize(
    ("sampler", "prediction_type"),
    [
        pair
        for pair in itertools.product(("ddim", "euler", "euler_a", "heun", "lms"), PREDICTION_TYPES)
        if defined(DEMO, *pair)
    ],
)
def test_predicts_x0_as_diffusers(sampler: str, prediction_type: str) -> None:
    config = DEMO | {"prediction_type": prediction_type}
    oracle = scheduler(config, sampler)
    oracle.set_timesteps(20)
    table = table_of(config, sampler, 20)
    x, m = NoiseStream(1).normal(SHAPE), NoiseStream(2).normal(SHAPE)
    for i, t in enumerate(oracle.timesteps):
        oracle.scale_model_input(torch.from_numpy(x), t)
        expected = oracle.step(torch.from_numpy(m), t, torch.from_numpy(x)).pred_original_sample.numpy()
        np.testing.assert_allclose(table.X[i] * x + table.Y[i] * m, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "unipc", "pndm", "tcd", "lcm"])
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_finds_the_picture_in_latents_that_are_noised_by_the_table(sampler: str, prediction_type: str) -> None:
    table = table_of(DEMO | {"prediction_type": prediction_type}, sampler, 20)
    clean, noise = (NoiseStream(seed).normal(SHAPE).astype(np.float64) for seed in (1, 2))
    for i in range(table.evaluations - 1):
        alpha, sigma = table.known_signal[i], table.known_noise[i]
        m = noise if prediction_type == "epsilon" else alpha * noise - sigma * clean
        x = alpha * clean + sigma * noise
        np.testing.assert_allclose(table.X[i + 1] * x + table.Y[i + 1] * m, clean, rtol=1e-9, atol=1e-9)
