"""What of a picture's prompts its text encoder never saw, asked from the family's tokenizer."""

import logging
from dataclasses import dataclass

import numpy as np

from bridge.errors import BridgeError
from bridge.generation import Generation
from bridge.triton import Triton

logger = logging.getLogger(__name__)

# A token is a byte or more, and one window of CLIP's has room for so many.
_ALWAYS_FITS = 75
_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class DroppedText:
    """The ends of both prompts that were cut off; "" where nothing was."""

    prompt: str = ""
    negative_prompt: str = ""


async def dropped_text(triton: Triton, generation: Generation) -> DroppedText:
    """Asks for what was cut off; nothing where the tokenizer does not tell, such as one that was exported before."""
    texts = [generation.prompt.encode(), generation.negative_prompt.encode()]
    if max(map(len, texts)) <= _ALWAYS_FITS:
        return DroppedText()
    family = generation.family
    prompt, negative_prompt = (np.array([[text]], np.object_) for text in texts)
    try:
        outputs = await triton.infer(
            f"{family.name}_tokenizer",
            {"PROMPT": prompt, "NEGATIVE_PROMPT": negative_prompt},
            ["DROPPED"],
            version=family.version,
            timeout=_SECONDS,
        )
    except BridgeError as error:
        logger.debug("What was dropped of the prompt is not known: %s", error.for_log)
        return DroppedText()
    return DroppedText(*(text.decode() for text in outputs["DROPPED"][0]))
