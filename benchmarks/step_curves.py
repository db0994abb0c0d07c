"""Step-cost curves given as data: what a UNet step takes by its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from diffusion_engine.step_cost import StepCost

from benchmarks.loads import PIXELS_A_LATENT, PictureSettings


@dataclass(frozen=True, slots=True)
class StepCurve:
    """Seconds of a step by its rows at the side `native_size`; `source` says where the numbers are from.

    A row of another size counts as the native rows that have its pixels, as in `StepCost`; on the H200 a row of
    1024x1024 takes what four of 512x512 take (0.243 and 0.240 s, see `H200`).
    """

    name: str
    source: str
    native_size: int
    seconds: Mapping[int, float]

    @property
    def native_pixels(self) -> int:
        """Latent pixels of a native row."""
        return (self.native_size // PIXELS_A_LATENT) ** 2

    def cost(self) -> StepCost:
        """The curve as the engine's scheduler takes it."""
        return StepCost.from_curve(self.native_pixels, self.seconds)

    def alone(self, picture: PictureSettings) -> float:
        """Seconds that a picture's steps take with nothing else to do."""
        return picture.steps * self.cost().step_seconds(picture.rows, picture.latent_pixels)

    def rows_per_second(self) -> float:
        """The most native rows per second at any measured count."""
        return max(rows / seconds for rows, seconds in self.seconds.items())


H200 = StepCurve(
    name="H200",
    source="Qwen-Image-2512 at 512x512, compiled, one H200: github.com/sgl-project/sglang/issues/22183; "
    "the batch there is taken as rows",
    native_size=512,
    seconds={1: 0.167, 2: 0.183, 3: 0.186, 4: 0.240, 8: 0.425, 16: 0.832},
)
