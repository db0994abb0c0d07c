"""Makes the prompts that are sent to a model of those that a request holds."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bridge.deadline import Deadline
from bridge.families import Family
from bridge.generation import Generation
from bridge.observability.metrics import Metrics
from bridge.prompts.addition import Addition, joined, new_to
from bridge.prompts.context.contextual import ContextualPrompt, contextual_prompt
from bridge.prompts.context.mode import ContextMode, read_mode
from bridge.prompts.context.wish import spoken_style
from bridge.prompts.preference_choice import PreferenceChoice, preferred
from bridge.prompts.preset import Preset
from bridge.prompts.preset_folder import PresetFolder
from bridge.prompts.presets import Presets
from bridge.prompts.token_budget import TokenBudget
from bridge.residency import Residency
from protos import starweave_pb2

# Which phrases stay where the family's tokens run short, first to last; the user's own words stay before all of them.
_RANKS = {source: rank for rank, source in enumerate(("style", "template", "context", "quality"))}


@dataclass(frozen=True, slots=True)
class _Written:
    """A text with those additions that fit, and the phrases that do not."""

    text: str
    left_out: tuple[str, ...]


class PromptWriter:
    """Applies the style, the quality and the context of requests, the templates of experiments, and preferences.

    A request with none of them keeps its prompts, byte for byte, and costs nothing here.
    """

    def __init__(
        self,
        folder: PresetFolder,
        budget: TokenBudget,
        default_mode: ContextMode,
        preferences: PreferenceChoice,
        metrics: Metrics,
    ) -> None:
        self._folder = folder
        self._budget = budget
        self._default_mode = default_mode
        self._preferences = preferences
        self._metrics = metrics

    async def write(
        self, request: starweave_pb2.ImageRequest, generation: Generation, residency: Residency, deadline: Deadline
    ) -> Generation:
        """The same picture with its prompts as they are to be sent to the family.

        Raises InvalidRequest for a style, quality or mode that is not known, and other errors of the bridge where the
        family's tokenizer does not answer.
        """
        settings, family, presets = request.settings, generation.family, self._folder.presets
        style = presets.style(settings.style, family) if settings.style.strip() else None
        quality = presets.quality(settings.quality, family) if settings.quality.strip() else None
        mode = read_mode(request.context_mode, self._default_mode)
        context = ContextualPrompt(generation.prompt)
        if mode is not ContextMode.OFF and request.context:
            context = await self._in_context(request, presets, family, mode, style)
            style = style or (presets.styles(family)[context.style] if context.style else None)
        preferences = await self._preferences.of(request)
        preferred_style, preferred_quality = preferred(preferences, presets, family)
        if style is None and preferred_style is not None:
            style = None if spoken_style(request.prompt, presets.styles(family)) else preferred_style
        quality = quality or preferred_quality
        additions = [Addition(phrase, "context") for phrase in context.phrases]
        negatives: list[Addition] = []
        exposure = presets.exposure(family, style.name if style else "", request.user_id)
        template = exposure.arm.template if exposure else None
        for source, preset in (("style", style), ("template", template), ("quality", quality)):
            if preset is not None:
                additions += _around(preset, source)
                negatives += [Addition(phrase, source) for phrase in preset.negative]
        given, negative_given, seconds = generation.prompt, generation.negative_prompt, deadline.remaining
        prompt, negative = await asyncio.gather(
            self._fitted(residency, seconds, given, context.prompt, additions),
            self._fitted(residency, seconds, negative_given, negative_given, negatives),
        )
        notes = context.notes if prompt.text != generation.prompt or context.style else ()
        origin = replace(
            generation.prompt_origin,
            style=style.name if style else "",
            quality=quality.name if quality else "",
            context_mode=mode if notes else "",
            context_notes=notes,
            template=template.name if template else "",
            experiment=str(exposure or ""),
            preferred=tuple(
                f"{name} {preset.name!r}"
                for name, preset, own in (("style", style, preferred_style), ("quality", quality, preferred_quality))
                if preset is not None and preset is own
            ),
            left_out=prompt.left_out + negative.left_out,
        )
        if exposure is not None:
            self._metrics.exposures.labels(exposure.experiment, exposure.arm.name).inc()
        return replace(generation, prompt=prompt.text, negative_prompt=negative.text, prompt_origin=origin)

    async def _in_context(
        self,
        request: starweave_pb2.ImageRequest,
        presets: Presets,
        family: Family,
        mode: ContextMode,
        style: Preset | None,
    ) -> ContextualPrompt:
        # In a thread: a long conversation takes some milliseconds.
        return await asyncio.to_thread(
            contextual_prompt,
            request.prompt,
            list(request.context),
            mode,
            presets.styles(family),
            style.name if style else "",
        )

    async def _fitted(
        self, residency: Residency, seconds: float, given: str, core: str, additions: Sequence[Addition]
    ) -> _Written:
        """The core with as many additions as the family's tokens have room for; the text as given where not even
        the core fits, so that its last words are not cut off for those that stand in for a pronoun.
        """
        new = new_to(core, additions)
        ranked = sorted(new, key=lambda addition: _RANKS[addition.source])
        cores = [given] if core == given else [given, core]
        texts = cores + [
            joined(core, [addition for addition in new if addition in ranked[:count]])
            for count in range(1, len(ranked) + 1)
        ]
        fitting = await self._budget.longest_fitting(residency, texts, seconds)
        kept = max(0, fitting - len(cores) + 1)
        return _Written(texts[fitting], tuple(addition.phrase for addition in ranked[kept:]))


def _around(preset: Preset, source: str) -> list[Addition]:
    before = [Addition(phrase, source, before=True) for phrase in preset.before]
    return before + [Addition(phrase, source) for phrase in preset.after]
