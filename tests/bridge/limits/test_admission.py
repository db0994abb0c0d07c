"""What is taken at the same time, and from whom; refusals are told in friendly words."""

from contextlib import ExitStack

import pytest

from bridge.errors import LimitReached, Overloaded
from bridge.limits.admission import Admission, Limits
from bridge.limits.rates import parse_rates
from bridge.observability.metrics import Metrics
from bridge.security.caller import Caller

ANNA, BEN = Caller("", "anna"), Caller("", "ben")


def admission(**limits: object) -> tuple[Admission, Metrics]:
    metrics = Metrics()
    return Admission(Limits(**({"max_in_flight": 100} | limits)), metrics), metrics


def refusals(metrics: Metrics, limit: str) -> float | None:
    return metrics.registry.get_sample_value("starweave_bridge_refusals_total", {"limit": limit})


async def test_nothing_is_limited_unless_it_is_asked_for() -> None:
    door, _ = admission()
    for _ in range(1000):
        await door.count(ANNA, 4)
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(door.held(ANNA))


def test_the_bound_on_all_pictures() -> None:
    door, metrics = admission(max_in_flight=2)
    with door.held(ANNA), door.held(BEN):
        assert metrics.registry.get_sample_value("starweave_bridge_pictures_under_way") == 2
        assert metrics.registry.get_sample_value("starweave_bridge_active_users") == 2
        with pytest.raises(Overloaded, match="busy with 2 pictures, as many as it takes"), door.held(ANNA):
            pass
    with door.held(ANNA):
        pass
    assert metrics.registry.get_sample_value("starweave_bridge_pictures_under_way") == 0
    assert metrics.registry.get_sample_value("starweave_bridge_active_users") == 0
    assert refusals(metrics, "in_flight") == 1


def test_a_users_share_leaves_others_alone() -> None:
    door, metrics = admission(user_concurrency=1)
    with door.held(ANNA):
        with pytest.raises(LimitReached) as caught, door.held(ANNA):
            pass
        with door.held(BEN), door.held(Caller("app", "anna")):
            pass
    assert str(caught.value) == ("You may have 1 picture under way at the same time; try again when one is finished.")
    assert refusals(metrics, "user_concurrency") == 1


def test_a_keys_share_is_that_of_all_its_users() -> None:
    door, metrics = admission(key_concurrency=2)
    with door.held(Caller("app", "anna")), door.held(Caller("app", "ben")):
        with pytest.raises(LimitReached, match="The API key app may have 2 pictures under way"):
            with door.held(Caller("app", "cleo")):
                pass
        with door.held(Caller("other", "cleo")), door.held(ANNA):
            pass
    assert refusals(metrics, "key_concurrency") == 1
    assert metrics.registry.get_sample_value("starweave_bridge_active_users") == 0


async def test_a_users_rate_tells_how_long_to_wait() -> None:
    door, metrics = admission(user_rate="3/hour; 100/day")
    await door.count(ANNA, 1)
    await door.count(ANNA, 2)
    with pytest.raises(
        LimitReached, match=r"^You may ask for 3 pictures an hour, which are used up; try again in 60 m"
    ):
        await door.count(ANNA, 1)
    await door.count(BEN, 3)
    assert refusals(metrics, "user_rate") == 1


async def test_more_at_once_than_ever_allowed_is_told_so() -> None:
    door, _ = admission(user_rate="3/5 minutes")
    with pytest.raises(LimitReached, match=r"3 pictures in 5 minutes; 4 at once are more than that, ask for fewer\."):
        await door.count(ANNA, 4)
    await door.count(ANNA, 3)


async def test_what_is_refused_is_not_counted() -> None:
    door, _ = admission(user_rate="3/hour")
    await door.count(ANNA, 2)
    with pytest.raises(LimitReached):
        await door.count(ANNA, 2)
    await door.count(ANNA, 1)


async def test_a_key_has_a_rate_of_its_own() -> None:
    door, metrics = admission(key_rate="2/second")
    await door.count(Caller("app", "anna"), 1)
    await door.count(Caller("app", "ben"), 1)
    with pytest.raises(LimitReached, match=r"The API key app may ask for 2 pictures a second, .* in 1 second\."):
        await door.count(Caller("app", "cleo"), 1)
    await door.count(ANNA, 9)
    assert refusals(metrics, "key_rate") == 1


async def test_a_store_that_is_away_limits_nothing(caplog: pytest.LogCaptureFixture) -> None:
    door, _ = admission(user_rate="1/hour", store_url="redis://:secret@localhost:1/0")
    for _ in range(3):
        await door.count(ANNA, 1)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "The store of rates does not answer" in caplog.text
    assert "secret" not in caplog.text
    await door.close()


def test_another_store_is_refused() -> None:
    with pytest.raises(ValueError, match="limits_url must begin with redis://"):
        admission(store_url="memcached://localhost")


@pytest.mark.parametrize("text", ["many", "3/fortnight", "3"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_rates(text)
