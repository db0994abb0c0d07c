"""Users are assigned to the arms of an experiment by chance, and stay there."""

from pathlib import Path

import pytest

from bridge.prompts.errors import InvalidPresets
from bridge.prompts.experiment import Arm, Experiment
from bridge.prompts.preset_file import read_preset_file
from bridge.prompts.presets import Presets
from tests.bridge.families import family

USERS = [f"user{number}" for number in range(10_000)]
EXPERIMENT = Experiment("first", "", [Arm("plain", None, 1), Arm("detailed", None, 3)])
YAML = """
templates: {detail: {after: [highly detailed]}}
experiments:
  first: {arms: {plain: {}, detailed: {template: detail, weight: 3}}}
  second: {style: ink, arms: {plain: {}, detailed: {template: detail}}}
"""


def presets(tmp_path: Path, *texts: str) -> Presets:
    files = []
    for number, text in enumerate(texts):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        files.append(read_preset_file(file))
    return Presets(files)


def test_the_arms_get_their_shares() -> None:
    shares = [EXPERIMENT.arm_of(user).name for user in USERS].count("detailed") / len(USERS)
    assert shares == pytest.approx(0.75, abs=0.02)


def test_a_user_stays_in_an_arm() -> None:
    """Pinned: after a change of the hash, users would change their arms in the middle of an experiment."""
    assert [EXPERIMENT.arm_of(user).name for user in ("ann", "bob", "eve", "狐")] == [
        "detailed",
        "detailed",
        "plain",
        "plain",
    ]
    more = Experiment("first", "", [*EXPERIMENT.arms, Arm("third", None, 1)])
    moved = sum(EXPERIMENT.arm_of(user).name != more.arm_of(user).name for user in USERS)
    assert moved / len(USERS) < 0.6


def test_experiments_are_independent() -> None:
    other = Experiment("second", "", EXPERIMENT.arms)
    both = sum(EXPERIMENT.arm_of(user).name == other.arm_of(user).name == "plain" for user in USERS)
    assert both / len(USERS) == pytest.approx(1 / 16, abs=0.01)


def test_requests_fall_to_the_experiment_of_their_style(tmp_path: Path) -> None:
    known = presets(tmp_path, YAML)
    exposures = {str(known.exposure(family(), "", user)) for user in USERS[:50]}
    assert exposures == {"first/plain", "first/detailed"}
    assert str(known.exposure(family(), "ink", "ann")).startswith("second/")
    assert known.exposure(family(), "pen", "ann") is None
    assert known.exposure(family(), "", "") is None
    detailed = next(e for user in USERS if (e := known.exposure(family(), "", user)) and e.arm.name == "detailed")
    assert detailed.arm.template is not None and detailed.arm.template.after == ("highly detailed",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("experiments: {first: {arms: {plain: {}, detailed: {template: none}}}}", "names the template none; there is"),
        ("experiments: {first: {arms: {plain: {}}}}", "should have at least 2 items"),
        ("experiments: {first: {arms: {plain: {}, other: {weight: 0}}}}", "greater than 0"),
        ("experiments: {first: {arms: {plain: {}, other: {template: 5}}}}", "valid string"),
    ],
)
def test_experiments_that_cannot_be_are_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(InvalidPresets, match=problem):
        presets(tmp_path, text)


def test_a_familys_experiment_may_use_general_templates(tmp_path: Path) -> None:
    general = "templates: {detail: {after: [highly detailed]}}"
    own = "{family: %s, experiments: {first: {arms: {plain: {}, detailed: {template: detail}}}}}"
    known = presets(tmp_path, general, own % "fox")
    assert str(known.exposure(family(), "", "ann")).startswith("first/")
    with pytest.raises(InvalidPresets):
        presets(tmp_path, general.replace("templates", "family: other\ntemplates"), own % "fox")
