"""Asks every model process of a Triton for a sign of life: `python3 probe.py [URL]`, status 1 and a sentence where
one does not answer.

A python-based backend runs each model in a process of its own. Triton neither restarts one that has died nor, before
26.04, says so in `/v2/health/ready` (python_backend 53fc26e); only an inference tells. Native backends live in
Triton's own process and are not asked.

Standard library only: it runs in NVIDIA's image.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from typing import Any

URL = "http://127.0.0.1:8000"
SECONDS = 5.0
# Sides of a small picture, or of its latents, and the ids in one window of CLIP (transformers' CLIPTokenizer).
_SIDE = 8
_WINDOW = 77
_STATUS_ORDER = json.dumps({"op": "status", "ids": []})


def silence(url: str = URL, seconds: float = SECONDS) -> str | None:
    """A sentence about the first thing that does not answer within `seconds`; None where all does."""
    try:
        _get(f"{url}/v2/health/live", seconds)
        index = _post(f"{url}/v2/repository/index", {"ready": True}, seconds)
    except OSError as error:
        return f"Triton does not answer at {url}: {error}."
    for entry in index:
        model, version = entry["name"], entry.get("version", "")
        try:
            _ask(f"{url}/v2/models/{model}/versions/{version}", seconds)
        except urllib.error.HTTPError as error:
            reason = error.read().decode(errors="replace")
            # Any other error is an answer too, such as that of a version which was unloaded meanwhile.
            if "Stub process" in reason:
                return f"The process of the model {model}, version {version}, has died."
        except OSError as error:
            return f"The model {model}, version {version}, does not answer: {error}."
    return None


def _ask(model: str, seconds: float) -> None:
    config = _get(f"{model}/config", seconds)
    if not config.get("runtime", "").endswith(".py"):
        return
    inputs = config["input"]
    # Its UNet takes no picture without being asked for one; the order alone is answered beside pictures under way.
    control = [each for each in inputs if each["name"] == "CONTROL"]
    asked = control or [each for each in inputs if not each.get("optional")]
    outputs = {"outputs": [{"name": "STATUS"}]} if control else {}
    _post(f"{model}/infer", {"inputs": [_input(each) for each in asked], **outputs}, seconds)


def _input(declared: dict[str, Any]) -> dict[str, Any]:
    """The smallest tensor that fits what the model declares."""
    kind = declared["data_type"].removeprefix("TYPE_")
    kind = "BYTES" if kind == "STRING" else kind
    side = _WINDOW if kind == "INT64" else _SIDE
    shape = [1, *(int(length) if int(length) > 0 else side for length in declared["dims"])]
    count = 1
    for length in shape:
        count *= length
    value: str | int = (_STATUS_ORDER if declared["name"] == "CONTROL" else "") if kind == "BYTES" else 0
    return {"name": declared["name"], "datatype": kind, "shape": shape, "data": [value] * count}


def _get(url: str, seconds: float) -> Any:
    return _answer(urllib.request.Request(url), seconds)


def _post(url: str, document: dict[str, Any], seconds: float) -> Any:
    return _answer(urllib.request.Request(url, json.dumps(document).encode()), seconds)


def _answer(request: urllib.request.Request, seconds: float) -> Any:
    with urllib.request.urlopen(request, timeout=seconds) as answer:
        body = answer.read()
    return json.loads(body) if body else None


if __name__ == "__main__":
    sys.exit(silence(*sys.argv[1:2]))
