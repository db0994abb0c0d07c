"""All presets that are known, by family."""

from collections.abc import Iterable, Mapping, Sequence

from bridge.errors import InvalidRequest
from bridge.families import Family
from bridge.prompts.errors import InvalidPresets
from bridge.prompts.experiment import Arm, Experiment, Exposure
from bridge.prompts.preset import Preset
from bridge.prompts.preset_file import PresetEntry, PresetFile, StyleEntry
from bridge.validation import shown


class Presets:
    """The presets of all files. A family's own replace general ones of the same name.

    Raises InvalidPresets where an experiment names a template that its files do not know.
    """

    def __init__(self, files: Iterable[PresetFile]) -> None:
        # General files first, so that what a family says of itself comes last and wins.
        self._files = sorted(files, key=lambda file: bool(file.family))
        for file in self._files:
            known = {name for other in self._files if other.family in ("", file.family) for name in other.templates}
            for name, experiment in file.experiments.items():
                for arm in experiment.arms.values():
                    if arm.template is not None and arm.template not in known:
                        raise InvalidPresets(f"The experiment {name} names the template {arm.template}; there is none.")

    def styles(self, family: Family) -> Mapping[str, Preset]:
        """The styles of a family by name."""
        return {name: _preset(name, entry) for file in self._of(family) for name, entry in file.styles.items()}

    def qualities(self, family: Family) -> Mapping[str, Preset]:
        """The qualities of a family by name."""
        return {name: _preset(name, entry) for file in self._of(family) for name, entry in file.qualities.items()}

    def templates(self, family: Family) -> Mapping[str, Preset]:
        """The templates of a family by name."""
        return {name: _preset(name, entry) for file in self._of(family) for name, entry in file.templates.items()}

    def style(self, name: str, family: Family) -> Preset:
        """The style that a request names. Raises InvalidRequest, listing the family's, for one that is not known."""
        return _find("style", name, self.styles(family), family)

    def quality(self, name: str, family: Family) -> Preset:
        """The quality that a request names. Raises InvalidRequest, listing the family's, for one that is not known."""
        return _find("quality", name, self.qualities(family), family)

    def experiments(self, family: Family) -> Sequence[Experiment]:
        """The experiments of a family."""
        templates = self.templates(family)
        entries = {name: entry for file in self._of(family) for name, entry in file.experiments.items()}
        return [
            Experiment(
                name,
                entry.style or "",
                [Arm(arm, templates.get(given.template or ""), given.weight) for arm, given in entry.arms.items()],
            )
            for name, entry in entries.items()
        ]

    def exposure(self, family: Family, style: str, user_id: str) -> Exposure | None:
        """Which arm of which experiment a user's request of a style falls to: of several, the first that applies.

        A user without an id is in none: nothing would tell that it is the same one next time.
        """
        if not user_id:
            return None
        applying = (experiment for experiment in self.experiments(family) if experiment.style == style)
        experiment = next(applying, None)
        return None if experiment is None else Exposure(experiment.name, experiment.arm_of(user_id))

    def _of(self, family: Family) -> Sequence[PresetFile]:
        return [file for file in self._files if not file.family or family.answers_to(file.family)]


def preset_name(text: str) -> str:
    """The name that a request means: "Pixel Art" and "pixel_art" are "pixel-art"."""
    return "-".join(text.casefold().replace("_", " ").replace("-", " ").split())


def _find(kind: str, name: str, known: Mapping[str, Preset], family: Family) -> Preset:
    try:
        return known[preset_name(name)]
    except KeyError:
        raise InvalidRequest(
            f"{kind} is {shown(name)}; the model {family.name} knows {', '.join(sorted(known)) or 'none'}. "
            "Choose one of these or leave it empty."
        ) from None


def _preset(name: str, entry: PresetEntry) -> Preset:
    wishes = entry.wishes if isinstance(entry, StyleEntry) else ()
    return Preset(name, entry.before, entry.after, entry.negative, wishes)
