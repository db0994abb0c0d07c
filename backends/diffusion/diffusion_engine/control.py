"""Control requests: cancel, status, preview and record, asked as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt

from diffusion_engine.engine import Engine
from diffusion_engine.errors import InvalidRequest

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ControlAnswer:
    """A JSON document, and with `preview` the estimated latents, float32 [C, h, w]."""

    status: bytes
    preview: Array | None = None


def answer(engine: Engine, control: bytes) -> ControlAnswer:
    """Carries out one control request.

    `{"op": "cancel", "ids": [..]}`, `{"op": "status", "ids": [..]}`, `{"op": "preview", "id": ".."}` or
    `{"op": "record", "last": N}`; raises InvalidRequest for anything else.
    """
    try:
        order = json.loads(control)
    except ValueError:
        raise InvalidRequest("CONTROL is not JSON.") from None
    if not isinstance(order, dict):
        raise InvalidRequest("CONTROL must be a JSON object.")
    match order.get("op"):
        case "status":
            return _document(_status(engine, _ids(order)))
        case "cancel":
            cancelled, remembered = engine.cancel(_ids(order))
            return _document({"cancelled": cancelled, "remembered": remembered})
        case "preview":
            request_id = str(order.get("id"))
            return replace(_document(_standing(engine, request_id)), preview=engine.preview(request_id))
        case "record":
            return _document({"steps": [asdict(step) for step in engine.record.last(_count(order))]})
        case operation:
            raise InvalidRequest(f"CONTROL has the op {operation!r}; it must be cancel, status, preview or record.")


def _document(document: dict[str, object]) -> ControlAnswer:
    return ControlAnswer(json.dumps(document).encode())


def _status(engine: Engine, ids: list[str]) -> dict[str, object]:
    running, waiting = engine.counts()
    return {
        "active": running,
        "waiting": waiting,
        "generations": {each: _standing(engine, each) for each in ids},
    }


def _standing(engine: Engine, request_id: str) -> dict[str, object]:
    progress = engine.progress(request_id)
    if progress is None:
        return {"state": "unknown"}
    if progress.position is not None:
        return {"state": "waiting", "position": progress.position}
    return {"state": "running", "step": progress.step, "steps": progress.steps}


def _ids(order: Mapping[str, object]) -> list[str]:
    ids = order.get("ids", [])
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise InvalidRequest("CONTROL's ids must be a list of texts.")
    return ids


def _count(order: Mapping[str, object]) -> int:
    last = order.get("last")
    if not isinstance(last, int) or last < 1:
        raise InvalidRequest("CONTROL's last must be a count of steps, at least 1.")
    return last
