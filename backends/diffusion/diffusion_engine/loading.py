"""From one version folder of a UNet model to an engine that is ready to start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from diffusion_engine.engine import Engine
from diffusion_engine.measurement import cost_curve
from diffusion_engine.parameters import EngineParameters
from diffusion_engine.picture import Family
from diffusion_engine.providers import provider_options
from diffusion_engine.scheduler_config import SchedulerConfig
from diffusion_engine.session import UNetSession
from diffusion_engine.step_cost import StepCost
from diffusion_engine.tables import tables_of


def load_engine(folder: Path, parameters: Mapping[str, str], family: Family, cache: Path) -> Engine:
    """Loads the files of a version folder; the cost of a step is measured, or read in the folder `cache`.

    Raises UnsupportedConfig where a parameter, the graph or the scheduler config is not what the engine implements.
    """
    engine_parameters = EngineParameters.from_parameters(parameters)
    scheduler_config = SchedulerConfig.from_json(json.loads((folder / "scheduler_config.json").read_text()))
    table_of = tables_of(scheduler_config)
    for sampler in family.samplers:
        # A scheduler config that a listed sampler cannot follow fails the load, not somebody's picture.
        table_of(sampler, family.default_steps, 1.0)
    graph, providers = folder / "model.onnx", engine_parameters.providers
    options = provider_options(providers, graph, parameters, cache / "tensorrt")
    session = UNetSession(graph, providers, engine_parameters.intra_op_thread_count, options)
    factor = engine_parameters.vae_scale_factor
    latent_size = (family.native_height // factor, family.native_width // factor)
    limit = engine_parameters.row_limit
    curve = cost_curve(session, latent_size, cache / "step_costs", limit)
    cost = StepCost.from_curve(latent_size[0] * latent_size[1], curve, engine_parameters.max_rows, limit)
    return Engine(session, table_of, engine_parameters, cost)
