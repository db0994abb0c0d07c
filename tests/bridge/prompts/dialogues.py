"""Conversations, with the exact prompt that each of the modes is to make of the last turn."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What was said, oldest first, then the prompt, and what is to be sent in each mode."""

    context: tuple[str, ...]
    prompt: str
    light: str
    strong: str


def untouched(context: tuple[str, ...], prompt: str) -> Dialogue:
    """A conversation that has nothing to add to the prompt in either mode."""
    return Dialogue(context, prompt, prompt, prompt)


WATERCOLOR = "watercolor painting, soft washes, visible paper texture"

DIALOGUES = {
    "a pronoun": Dialogue(
        ("Please draw a red dragon on a mountain",),
        "draw it at night",
        "draw a red dragon at night",
        "draw a red dragon at night, mountain",
    ),
    "a possessive pronoun": Dialogue(
        ("a red dragon",), "its wings on fire", "a red dragon's wings on fire", "a red dragon's wings on fire"
    ),
    "a pair": Dialogue(
        ("a cat and a dog",), "them playing chess", "a cat and a dog playing chess", "a cat and a dog playing chess"
    ),
    "two things that it could be": Dialogue(
        ("a cat and a dog",), "it sleeping", "it sleeping", "it sleeping, cat, dog"
    ),
    "two things in two turns": Dialogue(
        ("a cat", "a big castle by the sea"), "it at dawn", "it at dawn", "it at dawn, cat, sea, big castle"
    ),
    "the same thing twice": Dialogue(
        ("a fierce black cat", "the cat on a roof"),
        "it in the rain",
        "a fierce black cat in the rain",
        "a fierce black cat in the rain, roof",
    ),
    "a person": Dialogue(
        ("user: paint an old queen in red boots", "assistant: Here is the queen with a dog."),
        "she reads a book",
        "an old queen reads a book",
        "an old queen reads a book, red boots",
    ),
    "a pronoun whose noun the prompt names": Dialogue(
        ("an old wizard",), "a knight with his sword", "a knight with his sword", "a knight with his sword, old wizard"
    ),
    "it that means nothing": Dialogue(("a castle",), "it is raining", "it is raining", "it is raining, castle"),
    "it that is made to rain": Dialogue(("a castle",), "make it rain", "make it rain", "make it rain, castle"),
    "it that does something": Dialogue(
        ("an orange dragon",),
        "it is flying over the sea",
        "an orange dragon is flying over the sea",
        "an orange dragon is flying over the sea",
    ),
    "a thing pointed at": Dialogue(
        ("Ember is a red dragon with golden wings. She lives in an icy cave.",),
        "the dragon at night",
        "the red dragon at night",
        "the red dragon at night, Ember, golden wings, icy cave",
    ),
    "a thing that the prompt paints otherwise": Dialogue(
        ("Paint me a fierce red dragon",),
        "the blue dragon at night",
        "the fierce blue dragon at night",
        "the fierce blue dragon at night",
    ),
    "several things pointed at": Dialogue(
        ("two little foxes in a wood",),
        "the same foxes in winter",
        "the same little foxes in winter",
        "the same little foxes in winter, wood",
    ),
    "a thing that is not wanted": untouched(("a red dragon",), "a castle without the dragon"),
    "a new thing of the same kind": untouched(("a red dragon",), "a dragon asleep"),
    "a colour changed later": Dialogue(
        ("a red fox in a forest", "make it blue"),
        "the fox under a full moon",
        "the fox under a full moon, blue",
        "the fox under a full moon, forest, blue",
    ),
    "colours wished for": Dialogue(
        ("use warm colours please",),
        "a castle by the sea",
        "a castle by the sea, warm colours",
        "a castle by the sea, warm colours",
    ),
    "colours that the prompt names itself": untouched(("use warm colours please",), "a castle by the sea in red"),
    "colours taken back": untouched(("something in blue and gold", "no gold please"), "a fox"),
    "the last colours count": Dialogue(
        ("in pastel tones", "black and white please"),
        "a harbour",
        "a harbour, black and white",
        "a harbour, black and white",
    ),
    "a style wished for": Dialogue(
        ("I love watercolor paintings",),
        "a castle by the sea.",
        f"a castle by the sea, {WATERCOLOR}",
        f"a castle by the sea, {WATERCOLOR}",
    ),
    "the family's own style wished for": Dialogue(
        ("make all of them pixel art",),
        "a red circle on a blue background",
        "a red circle on a blue background, pixel art",
        "a red circle on a blue background, pixel art",
    ),
    "a style that the prompt names itself": untouched(("in watercolor style",), "a red fox, pixel art"),
    "a style taken back": untouched(("let's talk about pixel art", "actually no pixel art"), "a robot"),
    "style, colours and a pronoun": Dialogue(
        ("a lighthouse in watercolor style", "in teal and gold"),
        "it in a storm",
        f"a lighthouse in a storm, teal and gold, {WATERCOLOR}",
        f"a lighthouse in a storm, teal and gold, {WATERCOLOR}",
    ),
    "another time of day": Dialogue(
        ("A sunny day in a small fishing village with wooden houses and a lighthouse",),
        "the village at night",
        "the small fishing village at night",
        "the small fishing village at night, lighthouse, wooden houses",
    ),
    "a question": Dialogue(
        ("What do you think about modern art?",), "it with a hat", "it with a hat", "it with a hat, modern art"
    ),
    "a conversation that began anew": Dialogue(
        ("a dragon", "Forget the dragon, draw a penguin"),
        "it at the beach",
        "a penguin at the beach",
        "a penguin at the beach",
    ),
    "a prompt that begins anew": untouched(("a red dragon", "in watercolor style"), "Something else: the robot"),
    "the prompt itself among the turns": untouched(("the dragon at night",), "the dragon at night"),
    "nothing that is understood": untouched(("!?", "", "42"), "it sleeping"),
}
