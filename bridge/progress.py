"""How far the generations under way are, asked from the engine."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from bridge.errors import BridgeError
from bridge.residency import Residency
from bridge.triton import Triton

_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Progress:
    """A generation waits at `position` (1 is next, 0 not known) or has done `step` of `steps` UNet evaluations."""

    position: int = 0
    step: int = 0
    steps: int = 0

    @property
    def is_running(self) -> bool:
        """Tells whether denoising has begun."""
        return self.steps > 0


@dataclass(slots=True)
class _Question:
    answer: asyncio.Task[dict[str, Any]]
    ids: list[str] = field(default_factory=list)


class ProgressPoller:
    """Asks each UNet at most once per interval, about all generations that somebody wants to know of."""

    def __init__(self, triton: Triton, interval: float) -> None:
        self._triton = triton
        self._interval = interval
        self._questions: dict[tuple[str, int], _Question] = {}

    async def next(self, residency: Residency, request_id: str) -> Progress | None:
        """The generation's progress, an interval from now; None where the engine does not hold it or not answer."""
        unet = (residency.family.unet, residency.family.version)
        question = self._questions.get(unet)
        if question is None:
            question = self._questions[unet] = _Question(asyncio.create_task(self._ask(unet)))
        question.ids.append(request_id)
        # Shielded: others wait for the same answer.
        generations = await asyncio.shield(question.answer)
        match generations.get(request_id):
            case {"state": "waiting", "position": position}:
                return Progress(position=position)
            case {"state": "running", "step": step, "steps": steps}:
                return Progress(step=step, steps=steps)
        return None

    async def _ask(self, unet: tuple[str, int]) -> dict[str, Any]:
        await asyncio.sleep(self._interval)
        order = {"op": "status", "ids": self._questions.pop(unet).ids}
        try:
            status = await self._triton.control(*unet, order, _SECONDS)
        except BridgeError:
            # Progress is a courtesy: what happened to the picture is told by the picture's own request.
            return {}
        generations: dict[str, Any] = status["generations"]
        return generations
