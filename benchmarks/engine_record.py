"""What a running engine tells of its last UNet steps."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import tritonclient.grpc as triton_grpc

_LAST = 2000


@dataclass(frozen=True, slots=True)
class StepFigures:
    """Over the last steps: mean rows, and medians of the whole step and of its part outside the UNet, in ms."""

    steps: int
    rows: float
    step_ms: float
    overhead_ms: float


def last_steps(triton_url: str, family: str, last: int = _LAST) -> StepFigures:
    """Asks the family's UNet, by a control request, for its record."""
    control = triton_grpc.InferInput("CONTROL", [1, 1], "BYTES")
    order = json.dumps({"op": "record", "last": last}).encode()
    control.set_data_from_numpy(np.array([[order]], np.object_))
    outputs = [triton_grpc.InferRequestedOutput("STATUS")]
    with triton_grpc.InferenceServerClient(triton_url) as client:
        result = client.infer(f"{family}_unet", [control], outputs=outputs)
    steps = json.loads(result.as_numpy("STATUS")[0, 0])["steps"]
    return StepFigures(
        steps=len(steps),
        rows=float(np.mean([step["rows"] for step in steps])),
        step_ms=float(np.median([step["step_ms"] for step in steps])),
        overhead_ms=float(np.median([step["step_ms"] - step["unet_ms"] for step in steps])),
    )
