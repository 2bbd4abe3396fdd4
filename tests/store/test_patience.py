"""A request waits for a silent Redis once, whatever it asks for after that."""

import pytest
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from store.patience import SECONDS, SHORT_SECONDS, Patience


class Clock:
    """A time that passes when told."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def patience(clock: Clock) -> Patience:
    return Patience(clock)


def wait(patience: Patience, clock: Clock, seconds: float, error: Exception | None = None) -> float:
    """Wait for something; return how long it might have taken."""
    with patience.waiting(answers=True) as most:
        clock.seconds += seconds
        if error:
            raise error
    return most


def in_vain(patience: Patience, clock: Clock) -> None:
    """Wait for something that does not come."""
    with pytest.raises(RedisTimeoutError):
        wait(patience, clock, patience.left(), RedisTimeoutError())


def test_all_commands_of_a_request_that_are_not_answered_share_one_patience(
    patience: Patience, clock: Clock
) -> None:
    patience.begin()
    began = clock.seconds

    for _ in range(10):
        in_vain(patience, clock)

    assert clock.seconds - began == pytest.approx(SECONDS)


def test_commands_that_are_answered_cost_nothing(patience: Patience, clock: Clock) -> None:
    patience.begin()

    for _ in range(10):
        assert wait(patience, clock, 1.0) == SECONDS


def test_a_connection_is_no_answer(patience: Patience, clock: Clock) -> None:
    patience.begin()

    with patience.waiting(answers=False):
        clock.seconds += 1.0

    assert patience.left() == pytest.approx(SECONDS - 1.0)


def test_a_refusal_is_an_answer(patience: Patience, clock: Clock) -> None:
    patience.begin()

    with pytest.raises(ResponseError):
        wait(patience, clock, 1.0, ResponseError())

    assert patience.left() == SECONDS


def test_the_next_request_is_shorter_until_something_is_answered(
    patience: Patience, clock: Clock
) -> None:
    patience.begin()
    in_vain(patience, clock)
    patience.end()

    patience.begin()
    assert patience.left() == SHORT_SECONDS
    wait(patience, clock, 0.1)
    assert patience.left() == SECONDS


def test_outside_of_a_request_each_command_has_all_of_it(patience: Patience, clock: Clock) -> None:
    for _ in range(3):
        in_vain(patience, clock)
        assert patience.left() == SHORT_SECONDS
