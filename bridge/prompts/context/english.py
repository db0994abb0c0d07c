"""The closed classes of English words that the rules of this room know."""

import re

from yake import KeywordExtractor

WORD = re.compile(r"[^\W_]+(?:['\u2019\-][^\W_]+)*")

SINGULAR_DETERMINERS = frozenset({"a", "an", "one", "another", "this", "that"})
PLURAL_DETERMINERS = frozenset(
    {"two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "some", "several", "many", "few", "these"}
    | {"those", "both"}
)
DETERMINERS = SINGULAR_DETERMINERS | PLURAL_DETERMINERS | {"the", "my", "our", "your", "same"}
# By which a prompt points at something that was named before.
POINTERS = frozenset({"the", "this", "that", "these", "those", "same"})

# What may stand inside a noun phrase although keyword extraction passes over it.
_WORDS_OF_THINGS = frozenset({"new", "old", "little", "second", "third", "bright", "best", "welcome", "novel"})
# Ends a noun phrase: prepositions, conjunctions, auxiliaries, pronouns, adverbs (yake's list of stop words).
FUNCTION_WORDS: frozenset[str] = frozenset(
    KeywordExtractor(lan="en").stopword_set - DETERMINERS - _WORDS_OF_THINGS | {"onto", "beneath", "beside", "behind"}
)

# A word behind one of these is a verb.
BEFORE_VERBS = frozenset({"i", "you", "he", "she", "it", "we", "they", "let's", "let\u2019s", "i'd", "to"})
# Verbs by which a turn asks for a picture.
REQUEST_VERBS = frozenset(
    {"draw", "paint", "make", "create", "generate", "show", "render", "sketch", "design", "imagine", "illustrate"}
    | {"give", "put", "place", "picture", "depict", "add", "turn", "let", "have"}
)
# "a picture of .."
PICTURE_WORDS = frozenset(
    {"picture", "image", "drawing", "painting", "illustration", "photo", "photograph", "sketch", "portrait", "scene"}
    | {"version", "one"}
)

COLOURS = frozenset(
    {"red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "white", "black", "gray", "grey", "teal"}
    | {"gold", "golden", "silver", "turquoise", "cyan", "magenta", "beige", "crimson", "violet", "indigo", "navy"}
    | {"scarlet", "emerald", "lavender", "maroon", "ivory", "bronze", "copper"}
)
# What colours as a whole may be.
PALETTES = frozenset(
    {"warm", "cool", "cold", "bright", "dark", "light", "muted", "pastel", "vivid", "vibrant", "neon", "earthy", "soft"}
    | {"saturated", "pale", "rich", "monochrome"}
)

# Of each group a picture has one; where the prompt says which, the conversation does not say another.
OPPOSITES = (
    frozenset({"morning", "dawn", "sunrise", "noon", "midday", "day", "daylight", "daytime", "sunny", "afternoon"})
    | {"evening", "dusk", "sunset", "twilight", "night", "midnight", "nighttime", "moonlight", "starry"},
    frozenset({"spring", "summer", "autumn", "fall", "winter", "snow", "snowy"}),
    frozenset({"sunny", "rain", "rainy", "storm", "stormy", "fog", "foggy", "misty", "cloudy", "snow", "snowy"}),
)

WEATHER_VERBS = frozenset({"raining", "snowing", "storming", "pouring", "getting", "hailing", "thundering"})
# Words in -ing that name things, so that they do not end a noun phrase as "a fox sitting on .." does.
NOUNS_IN_ING = frozenset(
    {"king", "ring", "wing", "string", "spring", "thing", "building", "painting", "morning", "evening", "ceiling"}
    | {"wedding", "lightning", "duckling", "sling", "swing", "railing", "clearing", "viking", "being", "sibling"}
)


def singular(word: str) -> str:
    """The form of a noun that its plural shares with it: enough to find "foxes" again as "fox"."""
    word = word.casefold()
    for ending, instead in (("ies", "y"), ("ches", "ch"), ("shes", "sh"), ("sses", "ss"), ("xes", "x"), ("ves", "f")):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word[: -len(ending)] + instead
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        return word[:-1]
    return word


def is_plural(noun: str) -> bool:
    """Tells whether a noun looks like a plural."""
    return singular(noun) != noun.casefold()
