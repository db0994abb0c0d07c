"""Settings come from the environment and from flags, and the table tells of all of them."""

import pytest
from pydantic import ValidationError

from bridge.settings import Settings, read_settings, settings_table


def test_flags_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARWEAVE_PORT", "1234")
    monkeypatch.setenv("STARWEAVE_TRITON_URL", "elsewhere:8001")
    settings = read_settings(["--port", "4321"])
    assert (settings.port, settings.triton_url) == (4321, "elsewhere:8001")


@pytest.mark.parametrize("text", ["fox,wolf", " fox , wolf,"])
def test_fallback_models_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("STARWEAVE_FALLBACK_MODELS", text)
    assert read_settings([]).fallback_models == ("fox", "wolf")
    monkeypatch.delenv("STARWEAVE_FALLBACK_MODELS")
    assert read_settings(["--fallback-models", text]).fallback_models == ("fox", "wolf")


@pytest.mark.parametrize("arguments", [["--port", "70000"], ["--request-timeout", "0"], ["--log-level", "loud"]])
def test_a_bad_value_is_refused(arguments: list[str]) -> None:
    with pytest.raises((ValidationError, SystemExit)):
        read_settings(arguments)


def test_the_table_tells_of_every_setting() -> None:
    table = settings_table()
    for name, field in Settings.model_fields.items():
        assert f"| `STARWEAVE_{name.upper()}` | `--{name.replace('_', '-')}` | " in table
        assert f"| {field.description} |\n" in table
