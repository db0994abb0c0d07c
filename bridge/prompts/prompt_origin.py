"""Where a prompt that is sent to a model comes from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PromptOrigin:
    """The prompts as the user gave them, and what was made of them.

    `style`, `quality` and `context_mode` are "" where they have added nothing. `context_notes` say in words what the
    conversation has added. `template` is what an experiment has added, `experiment` that experiment with its arm, as
    "name/arm". `preferred` says what of this is the user's preference, `left_out` are the phrases that the family's
    tokens had no room for.
    """

    prompt: str
    negative_prompt: str
    style: str = ""
    quality: str = ""
    context_mode: str = ""
    context_notes: tuple[str, ...] = ()
    template: str = ""
    experiment: str = ""
    preferred: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def debug_info(self) -> dict[str, str]:
        """What is worth telling the caller; empty values are left out."""
        told = {
            "style": self.style,
            "quality": self.quality,
            "template": self.template,
            "experiment": self.experiment,
            "context_mode": self.context_mode,
            "context": "; ".join(self.context_notes),
            "preferred": ", ".join(self.preferred),
            "left_out": ", ".join(self.left_out),
        }
        return {key: value for key, value in told.items() if value}
