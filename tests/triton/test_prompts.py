"""What of a prompt reaches Triton, seen on the wire between the bridge and a real Triton with the demo family."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image
from tokenizers import Tokenizer

from bridge.catalog import Catalog
from bridge.deadline import Deadline
from bridge.families import Capability
from bridge.generation import Generation
from bridge.loading import Loader
from bridge.observability.metrics import Metrics
from bridge.prompts.context.mode import ContextMode
from bridge.prompts.preference_choice import PreferenceChoice
from bridge.prompts.preset_folder import BUILT_IN, PresetFolder
from bridge.prompts.prompt_writer import PromptWriter
from bridge.prompts.token_budget import TokenBudget
from bridge.residency import Residency
from bridge.residents import Residents
from bridge.triton import Triton
from bridge.validation import validate
from protos import starweave_pb2
from standalone.command import main
from tests.bridge.prompts.dialogues import DIALOGUES, Dialogue
from tests.triton.bridge_in_process import codes, pixels, running
from tests.triton.family_client import FamilyClient
from tests.triton.recording_proxy import recording

PROMPT = "a red circle on a blue background"
# Nothing of these may be tidied up.
UNTIDY = [
    "  a red  circle, on a blue background., ",
    "ein grüner Stern\n\tüber 狐 🦊 é, outline,",
    '"a" {prompt} %s \\n &amp;',
]
CONVERSATION = ["a red dragon", "in watercolor style", "use warm colours"]


def request(prompt: str = PROMPT, context: list[str] | None = None, context_mode: str = "", **settings: Any) -> Any:
    return starweave_pb2.ImageRequest(
        prompt=prompt,
        context=context or [],
        context_mode=context_mode,
        settings=starweave_pb2.ImageSettings(**({"width": 64, "height": 64, "steps": 2, "seed": 5} | settings)),
    )


class Desk:
    """A prompt writer with the demo family."""

    def __init__(self, triton: Triton, residents: Residents, residency: Residency) -> None:
        self._residency = residency
        budget = TokenBudget(triton, residents)
        nobodys = PreferenceChoice(None, False)
        self._writer = PromptWriter(PresetFolder(BUILT_IN), budget, ContextMode.OFF, nobodys, Metrics())

    async def write(self, wish: Any) -> Generation:
        generation = validate(wish, self._residency.family)
        return await self._writer.write(wish, generation, self._residency, Deadline.within(60))


@pytest.fixture
async def desk(triton_url: str, demo: FamilyClient) -> AsyncIterator[Desk]:
    triton = Triton(triton_url)
    loader = Loader(triton)
    residents = Residents(loader, 4)
    catalog = Catalog(triton, loader, residents, 1, ())
    await catalog.refresh()
    yield Desk(triton, residents, catalog.resolve("demo", Capability.TEXT_TO_IMAGE))
    await triton.close()


@pytest.fixture
def tokenizer(repository: Path) -> Tokenizer:
    """The demo family's own, outside Triton."""
    return Tokenizer.from_file(str(repository / "demo_tokenizer" / "1" / "tokenizer.json"))


@pytest.mark.parametrize("prompt", [PROMPT, *UNTIDY])
async def test_without_style_quality_and_context_prompts_are_sent_byte_for_byte(
    triton_url: str, demo: FamilyClient, prompt: str
) -> None:
    async with recording(triton_url) as proxy, running(proxy.url) as bridge:
        for wish in (
            request(prompt, negative_prompt=prompt),
            request(prompt, negative_prompt=prompt, context=CONVERSATION),
            request(prompt, negative_prompt=prompt, context=CONVERSATION, context_mode="off", style="", quality=""),
            request(prompt, negative_prompt=prompt, context_mode="strong"),
            request(prompt, negative_prompt=prompt, quality="standard"),
        ):
            response = await bridge.images.GenerateImage(wish)
            assert response.error == ""
            assert response.metadata.debug_info["prompt"] == prompt
        assert proxy.sent("demo", "PROMPT") == proxy.sent("demo", "NEGATIVE_PROMPT") == [prompt.encode()] * 5
        # Nor does such a request cost anything: no tokens are counted. (The health probe's text is empty.)
        assert set(proxy.sent("demo_tokenizer", "PROMPT")) <= {b""}


async def test_the_demos_styles_are_sent_in_its_own_words(triton_url: str, demo: FamilyClient) -> None:
    async with recording(triton_url) as proxy, running(proxy.url) as bridge:
        plain = pixels(await bridge.images.GenerateImage(request()))
        for style in ("outline", "pixel-art", "soft"):
            response = await bridge.images.GenerateImage(request(style=style))
            assert (pixels(response) != plain).any()
            assert response.metadata.debug_info["style"] == style
        sent = [PROMPT, f"{PROMPT}, outline", f"{PROMPT}, pixel art", f"{PROMPT}, soft"]
        assert proxy.sent("demo", "PROMPT") == [prompt.encode() for prompt in sent]
        assert set(proxy.sent("demo", "NEGATIVE_PROMPT")) == {b""}


async def test_every_call_applies_them(triton_url: str, demo: FamilyClient) -> None:
    """Variations, streams, and a style over an init image, which makes a style transfer."""
    init = io.BytesIO()
    Image.new("RGB", (64, 64), "green").save(init, "PNG")
    wish = request(style="anime", quality="high", context=["in gold"], context_mode="light", negative_prompt="a hat")
    async with recording(triton_url) as proxy, running(proxy.url) as bridge:
        variations = starweave_pb2.ImageVariationsRequest(base_request=wish, num_variations=2, variation_strength=0.5)
        async for response in bridge.images.GenerateImageVariations(variations):
            assert response.error == ""
        messages = [message async for message in bridge.images.GenerateImageStream(wish)]
        assert messages[-1].result.error == ""
        transfer = request(style="anime", steps=4)
        transfer.init_image = init.getvalue()
        response = await bridge.images.GenerateImage(transfer)
        assert response.error == ""
    style = b"anime artwork, cel shading, clean line work, vibrant"
    # The prompt names colours itself: the wish for gold does not count.
    assert proxy.sent("demo", "PROMPT") == [PROMPT.encode() + b", " + style + b", highly detailed, sharp focus"] * 3
    assert set(proxy.sent("demo", "NEGATIVE_PROMPT")) == {b"a hat, photograph, realism, 3d render, blurry, low quality"}
    assert proxy.sent("demo_image_to_image", "PROMPT") == [PROMPT.encode() + b", " + style]
    assert response.metadata.debug_info["prompt"] == f"{PROMPT}, {style.decode()}"


@pytest.mark.parametrize("dialogue", DIALOGUES.values(), ids=list(DIALOGUES))
async def test_dialogues(desk: Desk, dialogue: Dialogue) -> None:
    for mode, expected in (("off", dialogue.prompt), ("light", dialogue.light), ("strong", dialogue.strong)):
        made = await desk.write(request(dialogue.prompt, list(dialogue.context), mode))
        assert made.prompt == expected, mode
        assert bool(made.prompt_origin.context_notes) == (expected != dialogue.prompt), mode


async def test_what_the_context_did_is_told(desk: Desk) -> None:
    made = await desk.write(request("it at night", CONVERSATION, "light"))
    assert made.prompt_origin.prompt == "it at night"
    assert made.prompt_origin.debug_info() == {
        "style": "watercolor",
        "context_mode": "light",
        "context": '"it" means "a red dragon"; turn 3 wishes for "warm colours"; turn 2 wishes for the style '
        '"watercolor"',
    }


async def test_the_users_words_are_never_pushed_out(desk: Desk, tokenizer: Tokenizer) -> None:
    """For prompts of every length around the family's 184 tokens, with as many phrases as there is room for."""
    tokens = tokenizer.encode("a red circle ").ids
    left_out = set()
    for length in range(90, 190, 5):
        prompt = " ".join(["a red circle"] * (length // len(tokens)) + ["a"] * (length % len(tokens)))
        made = await desk.write(request(prompt, style="watercolor", quality="best"))
        sent = tokenizer.encode(made.prompt).ids
        assert made.prompt.startswith(prompt)
        assert len(sent) < 184 or made.prompt == prompt
        phrases = [*made.prompt.removeprefix(prompt).split(", ")[1:], *made.prompt_origin.left_out]
        assert sorted(set(phrases) & WORDS) == sorted(WORDS)
        left_out.add(len([phrase for phrase in made.prompt_origin.left_out if phrase in WORDS]))
    assert {0, len(WORDS)} < left_out


WORDS = {"watercolor painting", "soft washes", "visible paper texture", "masterpiece", "best quality"} | {
    "highly detailed",
    "intricate",
    "sharp focus",
}


async def test_a_referent_never_pushes_words_out(desk: Desk, tokenizer: Tokenizer) -> None:
    """Of 183 tokens, the last that surely fits, the pronoun takes two and the referent would take more."""
    prompt = "it" + " a" * 181
    assert len(tokenizer.encode(prompt).ids) == 183
    made = await desk.write(request(prompt, ["a red dragon"], "light"))
    assert (made.prompt, made.prompt_origin.context_notes) == (prompt, ())
    shorter = await desk.write(request("it" + " a" * 150, ["a red dragon"], "light"))
    assert shorter.prompt == "a red dragon" + " a" * 150


async def test_an_unknown_style_is_refused_with_those_that_are_known(bridge_address: str, triton_url: str) -> None:
    async with running(triton_url) as bridge:
        call = bridge.images.GenerateImage(request(style="oil", quality="awful"))
        response = await call
        assert response.error.startswith("style is 'oil'; the model demo knows 3d-model, anime, ")
        assert await codes(call) == ["INVALID_ARGUMENT"]
        (model,) = (await bridge.images.GetImageModels(starweave_pb2.ModelRequest())).models
        assert set(model.parameters["styles"].split(",")) > {"outline", "pixel-art", "soft", "watercolor"}
        assert model.parameters["qualities"] == "best,high,standard"


async def test_the_operator_may_turn_context_on_and_bring_presets(triton_url: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("styles: {ink: {before: [an etching], after: [ink]}}")
    async with running(triton_url, context_mode="light", presets=tmp_path) as bridge:
        response = await bridge.images.GenerateImage(request("it at night", ["a red star"], style="ink"))
        assert response.metadata.debug_info["prompt"] == "an etching, a red star at night, ink"


def test_from_the_command_line(bridge_address: str, tmp_path: Path) -> None:
    arguments = ["generate", "it at night", "--style", "soft", "--quality", "standard", "--context", "a red star"]
    arguments += ["--context-mode", "light", "--steps", "2", "--size", "64x64", "--address", bridge_address]
    run = CliRunner().invoke(main, [*arguments, "-o", str(tmp_path / "star.png")])
    assert run.exit_code == 0, run.output
    with Image.open(tmp_path / "star.png") as picture:
        assert picture.text["parameters"].startswith("a red star at night, soft\n")
