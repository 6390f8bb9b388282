"""Open interest of zero: for how long it must be, and how many snapshots must say so, to end a contract."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from liq_pipeline_tests.exchange.flat_days import at, changed, flat, paused, when
from liq_pipeline_tests.exchange.reused_ticker import Feeds


def zeros(count: int, contracts: float = 1, *, minutes: int = 5, since: float = 80) -> Feeds:
    """So many snapshots of zero, then another scale of open interest."""
    hours = count * minutes / 60
    return flat(minutes=minutes).zero(at(since), hours).scaled(at(since + hours), 1, contracts)


@pytest.mark.parametrize(
    ("count", "minutes", "contracts", "expected"),
    [
        pytest.param(35, 5, 1, [], id="three hours from the last position to the next"),
        pytest.param(36, 5, 1, [(80, 83)], id="more than three hours"),
        pytest.param(14, 4, 4, [(80, 80.75)], id="an hour, and a new scale"),
        pytest.param(13, 4, 4, [], id="less than an hour, and a new scale"),
        pytest.param(12, 5, 4, [(80, 81)], id="twelve snapshots and a new scale"),
        pytest.param(11, 6, 4, [], id="eleven snapshots and a new scale"),
        pytest.param(24, 5, 3.03, [(80, 82)], id="a scale that is new"),
        pytest.param(24, 5, 2.97, [], id="a scale that is not new"),
        pytest.param(24, 5, 1 / 3.03, [(80, 82)], id="a smaller scale that is new"),
        pytest.param(24, 5, 1 / 2.97, [], id="a smaller scale that is not new"),
    ],
)
def test_it_lasts_more_than_three_hours_or_one_before_a_new_scale(count, minutes, contracts, expected) -> None:
    assert when(zeros(count, contracts, minutes=minutes)) == expected


@pytest.mark.parametrize(("count", "expected"), [(30, 1), (29, 0)])
def test_of_the_snapshots_at_least_half_say_so(count: int, expected: int) -> None:
    """Of sixty; the others print what cannot be."""
    feeds = flat().zero(at(80), 5)
    value = feeds.open_interest["open_interest_value_usd"].to_numpy(zero_copy_only=False).copy()
    value[np.flatnonzero(value == 0)[count:]] = np.nan
    table = feeds.open_interest.set_column(2, "open_interest_value_usd", pa.array(value, from_pandas=True))
    assert len(changed(Feeds(table, feeds.klines))) == expected


def test_one_snapshot_missing_among_others_is_none() -> None:
    assert changed(zeros(1, 4)) == []


def test_the_words() -> None:
    (one,) = changed(zeros(48, 0.01))
    assert one.found == (
        "open interest of zero from 2026-03-04 08:05 UTC to 2026-03-04 12:00 UTC, open interest × 0.01"
    )


class TestTheNextContract:
    def test_begins_with_the_bar_at_whose_end_the_first_position_was_seen(self) -> None:
        assert when(zeros(48)) == [(80, 84)]
        assert when(zeros(49)) == [(80, 84)]
        assert when(zeros(50)) == [(80, 84)]
        assert when(zeros(51)) == [(80, 84.25)]

    def test_begins_with_that_position_where_bars_are_absent(self) -> None:
        feeds = zeros(48)
        assert when(Feeds(feeds.open_interest, feeds.silent(at(83), 2).klines)) == [(80, 84 + 5 / 60)]

    def test_does_not_begin_while_no_bar_follows(self) -> None:
        feeds = zeros(48)
        assert when(Feeds(feeds.open_interest, feeds.until(at(84)).klines)) == []
        assert when(Feeds(feeds.open_interest, feeds.until(at(84.25)).klines)) == [(80, 84)]


@pytest.mark.parametrize(("hours", "expected"), [(71, 0), (73, 1)])
def test_a_new_scale_lasts_three_days_where_the_zeros_alone_are_too_few(hours: float, expected: int) -> None:
    """Neither is the way back to an old scale a change."""
    there_and_back = zeros(24, 10, since=60).scaled(at(62 + hours), 1, 0.1)
    assert len(changed(there_and_back)) == expected
    back_alone = flat().scaled(at(140 - hours), 1, 10).zero(at(140), 2).scaled(at(142), 1, 0.1)
    assert len(changed(back_alone)) == expected


class TestBesideOtherChanges:
    def test_what_is_seen_at_either_end_of_it_is_the_same_change(self) -> None:
        two = flat().zero(at(80), 4).zero(at(120), 6)
        assert when(two) == [(80, 84), (120, 126)]
        for seam in (80, 84, 120, 126):
            assert when(two.scaled(at(seam), 10, 0.1)) == [(80, 84), (120, 126)]

    @pytest.mark.parametrize("seam", [79.75, 84.25])
    def test_what_is_seen_a_bar_away_is_another(self, seam: float) -> None:
        both = flat().zero(at(80), 4).scaled(at(seam), 10, 0.1)
        assert when(both) == sorted([(80, 84), (seam, seam)])

    def test_a_silence_days_later_is_another(self) -> None:
        later = paused(8, 10, 1, since=150).zero(at(80), 4)
        assert when(later) == [(80, 84), (150, 158)]


def test_without_a_bar_that_trades_or_a_position_there_is_nothing_to_find() -> None:
    feeds = paused(8, 100, 1)
    nobody = feeds.printed(np.ones(feeds.open_interest.num_rows, dtype=bool), None)
    idle = zeros(48)
    volume = pa.array(np.zeros(idle.klines.num_rows))
    untraded = idle.klines.set_column(idle.klines.column_names.index("volume"), "volume", volume)
    assert changed(nobody) == changed(Feeds(idle.open_interest, untraded)) == []
