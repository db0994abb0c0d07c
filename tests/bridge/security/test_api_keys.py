"""API keys are known by their SHA-256 only, and follow their file."""

import os
from pathlib import Path

import pytest

from bridge.security.api_keys import ApiKeys, new_key


def write(file: Path, text: str, time: int = 1) -> None:
    file.write_text(text)
    os.utime(file, (time, time))


def test_a_key_is_known_by_its_name_and_nothing_of_it_is_kept(tmp_path: Path) -> None:
    first, second = new_key("app"), new_key("other.app-2")
    assert first.key not in first.line
    assert len({first.key, second.key, new_key("app").key}) == 3
    file = tmp_path / "keys"
    write(file, f"# who may come in\n\n{first.line}\n  {second.line}  # until spring\n")
    keys = ApiKeys(file)
    assert keys.name_of(first.key) == "app"
    assert keys.name_of(second.key) == "other.app-2"
    for stranger in ("", "app", first.key[:-1], first.key + "x", first.line, first.line.split()[1], "schlüssel"):
        assert keys.name_of(stranger) is None
    assert first.key not in repr(vars(keys))


def test_a_changed_file_takes_effect_and_a_broken_one_does_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = new_key("first"), new_key("second")
    file = tmp_path / "keys"
    write(file, first.line, time=1)
    keys = ApiKeys(file)
    write(file, second.line, time=2)
    assert (keys.name_of(first.key), keys.name_of(second.key)) == (None, "second")
    write(file, "nonsense", time=3)
    assert keys.name_of(second.key) == "second"
    file.unlink()
    assert keys.name_of(second.key) == "second"
    assert "the keys stay as they were" in caplog.text


@pytest.mark.parametrize(("text", "problem"), [("app 12", "Line 1 of .* is not `name sha256`"), ("# no", "no keys")])
def test_a_file_without_keys_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    write(tmp_path / "keys", text)
    with pytest.raises(ValueError, match=problem):
        ApiKeys(tmp_path / "keys")


@pytest.mark.parametrize("name", ["", "two words", "a\nb", "x" * 65, "-x"])
def test_a_name_that_cannot_stand_in_the_file_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name for a key"):
        new_key(name)
