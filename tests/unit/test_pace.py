"""How many connections are used at once: what the network gives back decides."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.transfer.pace import Pace

PART = 8_000_000


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def entered(pace: Pace) -> int:
    """Take every connection that is allowed now."""
    count = 0
    while pace.enter():
        count += 1
    return count


def rounds(pace: Pace, clock: Clock, throughput: Callable[[int], float], times: int) -> list[int]:
    """Move parts over all the connections that are allowed, `throughput` bytes a second for so many; how many."""
    used = []
    for _ in range(times):
        count = entered(pace)
        clock.now += count * PART / throughput(count)
        for _ in range(count):
            pace.leave(PART)
        used.append(count)
    return used


def each_connection_is_throttled(count: int) -> float:
    return 20e6 * count


def the_line_is_full(_: int) -> float:
    return 100e6


def test_it_begins_with_a_few(pace: Pace) -> None:
    assert entered(pace) == 4


def test_a_process_that_may_use_two_uses_two() -> None:
    assert entered(Pace(2)) == 2


def test_a_connection_that_was_given_back_can_be_taken(pace: Pace) -> None:
    entered(pace)
    pace.leave(PART)
    assert pace.enter()
    assert not pace.enter()


def test_more_are_used_while_that_brings_more(pace: Pace, clock: Clock) -> None:
    assert rounds(pace, clock, each_connection_is_throttled, 6) == [4, 8, 12, 12, 12, 12]


def test_no_more_are_used_than_bring_anything(pace: Pace, clock: Clock) -> None:
    assert rounds(pace, clock, the_line_is_full, 6) == [4, 8, 4, 4, 4, 4]


def test_growth_ends_where_the_line_is_full(pace: Pace, clock: Clock) -> None:
    assert rounds(pace, clock, lambda count: min(count, 8) * 20e6, 6) == [4, 8, 12, 8, 8, 8]


def test_a_server_that_asks_for_less_gets_half(pace: Pace, clock: Clock) -> None:
    rounds(pace, clock, each_connection_is_throttled, 4)
    pace.slow_down()
    assert entered(pace) == 6


def test_connections_on_their_way_are_no_more_than_before_after_a_server_asked_for_less(pace: Pace) -> None:
    entered(pace)
    pace.slow_down()
    pace.leave(PART)
    assert not pace.enter()


def test_one_connection_is_left_however_often_a_server_asks_for_less(pace: Pace) -> None:
    for _ in range(10):
        pace.slow_down()
    assert entered(pace) == 1


def test_one_connection_that_breaks_is_chance_and_a_second_in_the_same_window_halves(pace: Pace, clock: Clock) -> None:
    rounds(pace, clock, each_connection_is_throttled, 4)
    pace.broke()
    assert pace.limit == 12
    pace.broke()
    assert pace.limit == 6


def test_connections_that_break_in_different_windows_are_chance(pace: Pace, clock: Clock) -> None:
    rounds(pace, clock, each_connection_is_throttled, 4)
    for _ in range(5):
        pace.broke()
        rounds(pace, clock, each_connection_is_throttled, 1)
    assert pace.limit == 12


def test_a_line_that_grows_later_is_used_later(pace: Pace, clock: Clock) -> None:
    assert rounds(pace, clock, the_line_is_full, 10)[-1] == 4
    assert rounds(pace, clock, each_connection_is_throttled, 20)[-1] == 12


def test_more_are_tried_but_rarely_where_they_bring_nothing(pace: Pace, clock: Clock) -> None:
    used = rounds(pace, clock, the_line_is_full, 100)
    assert 4 <= sum(count > 4 for count in used) <= 7


def test_more_are_tried_again_after_a_window_in_peace(pace: Pace, clock: Clock) -> None:
    rounds(pace, clock, each_connection_is_throttled, 4)
    pace.slow_down()
    pace.slow_down()
    assert rounds(pace, clock, each_connection_is_throttled, 4) == [3, 6, 12, 12]


def test_parts_that_did_not_arrive_bring_nothing(pace: Pace, clock: Clock) -> None:
    entered(pace)
    clock.now += 1
    for _ in range(4):
        pace.leave(0)
    assert entered(pace) == 4


steps = st.lists(
    st.one_of(
        st.just("enter"),
        st.just("slow down"),
        st.just("broke"),
        st.tuples(st.sampled_from([0, 1, PART]), st.floats(0, 60, allow_nan=False)),
    ),
    max_size=60,
)


@given(st.integers(1, 20), st.integers(1, 8), steps)
def test_whatever_happens_one_may_go_on_and_no_more_than_allowed(
    most: int, first: int, happened: list[str | tuple[int, float]]
) -> None:
    clock = Clock()
    pace = Pace(most, first=first, clock=clock)
    in_use = 0
    for step in happened:
        if isinstance(step, tuple):
            arrived, seconds = step
            clock.now += seconds
            if in_use:
                pace.leave(arrived)
                in_use -= 1
        elif step == "enter":
            allowed = in_use < pace.limit
            assert pace.enter() is allowed
            in_use += allowed
        elif step == "broke":
            pace.broke()
        else:
            pace.slow_down()
        assert 1 <= pace.limit <= most
    for _ in range(in_use):
        pace.leave(PART)
    assert pace.enter()


def test_threads_that_come_at_once_never_use_more_than_allowed() -> None:
    pace = Pace(6, first=6)
    lock = threading.Lock()
    now = peak = 0

    def come_and_go() -> None:
        nonlocal now, peak
        for _ in range(300):
            if pace.enter():
                with lock:
                    now += 1
                    peak = max(peak, now)
                with lock:
                    now -= 1
                pace.leave(1)

    threads = [threading.Thread(target=come_and_go) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= peak <= 6
    assert pace.enter()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    return Pace(12, clock=clock)
