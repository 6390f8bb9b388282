"""Zones, silence and words exactly at their limits, and one step on either side."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import pytest

from liq_pipeline.alerts import alerts
from liq_pipeline.alerts.alerts import Alert, AlertSender, Delivery, open_addresses, stale_alert
from liq_pipeline.alerts.zones import usd, zones
from liq_pipeline.errors import SettingsError
from liq_pipeline_tests.alerts.test_alerts import NOW, levels

CAPPED = Alert("zone", "zone:B:long", "t", "x")


class TestZones:
    """At a price of 10,000 a bin of 10 is a tenth of a percent wide."""

    @pytest.mark.parametrize(
        ("bins", "within", "least", "found"),
        [
            # The nearest edge: 100 below is 1 %.
            ([("long", 9890, 4e6)], 1.0, 1.0, [(9890, 9900, 4e6, 1.0)]),
            ([("long", 9890, 4e6)], 0.999, 1.0, []),
            ([("short", 10_100, 4e6)], 1.0, 1.0, [(10_100, 10_110, 4e6, 1.0)]),
            ([("short", 10_100, 4e6)], 0.999, 1.0, []),
            # The smallest size.
            ([("long", 9890, 4e6)], 1.0, 4e6, [(9890, 9900, 4e6, 1.0)]),
            ([("long", 9890, 4e6)], 1.0, 4e6 + 1, []),
            # The price inside the bin.
            ([("long", 9995, 4e6)], 1.0, 1.0, [(9995, 10_005, 4e6, 0.0)]),
            # What lies up to twice as far away counts for what is strong, and belongs to the zone; no farther.
            ([("long", 9900, 4e6), ("long", 9890, 16e6)], 0.95, 1.0, [(9890, 9910, 20e6, 0.9)]),
            ([("long", 9980, 4e6), ("long", 9790, 16e6)], 1.0, 1.0, [(9980, 9990, 4e6, 0.1)]),
            ([("long", 9980, 4e6), ("long", 9790, 16e6 + 8)], 1.0, 1.0, []),
            ([("long", 9980, 4e6), ("long", 9780, 99e6)], 1.0, 1.0, [(9980, 9990, 4e6, 0.1)]),
            # A quarter of the largest is strong, less is not.
            ([("long", 9980, 1e6), ("long", 9950, 4e6)], 1.0, 1.0, [(9950, 9960, 4e6, 0.4), (9980, 9990, 1e6, 0.1)]),
            ([("long", 9980, 1e6), ("long", 9950, 4e6 + 8)], 1.0, 1.0, [(9950, 9960, 4e6 + 8, 0.4)]),
            # One weak bin between two strong ones is in their sum.
            ([("short", 10_010, 5e6), ("short", 10_020, 1e5), ("short", 10_030, 7e6)], 1.0, 1.0,
             [(10_010, 10_040, 12.1e6, 0.1)]),
            # Each side by itself.
            ([("long", 9980, 1e6), ("short", 10_020, 3e6)], 1.0, 1.0,
             [(10_020, 10_030, 3e6, 0.2), (9980, 9990, 1e6, 0.1)]),
        ],
    )  # fmt: skip
    def test_edges_size_and_distance(self, bins, within, least, found) -> None:
        rows = levels(*bins, leverages=4)
        near = zones(rows, within, least)
        given = [(zone.price_low, zone.price_high, zone.notional_usd, zone.distance_pct) for zone in near]
        assert all((zone.price_low < 10_000) == (zone.side == "long") for zone in near)
        assert given == [pytest.approx(one) for one in found]

    def test_bins_part_where_more_than_one_and_a_half_widths_are_between(self) -> None:
        for gap, parts in ((15.0, 1), (15.5, 2)):
            rows = levels(("short", 10_010, 5e6), ("short", 10_020 + gap, 5e6))
            assert len(zones(rows, 2.0, 1.0)) == parts

    @pytest.mark.parametrize(
        ("amount", "text"), [(999.6, "$1K"), (999.4, "$999"), (1e6 - 1e4, "$990K"), (1e9 - 1e7, "$990M")]
    )
    def test_amounts_just_below_a_unit(self, amount: float, text: str) -> None:
        assert usd(amount) == text


class TestSameThing:
    @pytest.mark.parametrize(
        ("span", "is_same"),
        [((20.0, 30.0), True), ((20.1, 30.0), False), ((0.0, 10.0), True), ((0.0, 9.9), False), ((12.0, 13.0), True),
         (None, True)],
    )  # fmt: skip
    def test_zones_that_touch_are_one(self, span, is_same: bool) -> None:
        zone = Alert("zone", "s", "t", "x", (10.0, 20.0))
        assert zone.is_about({"subject": "s", "span": span}) is is_same
        assert not zone.is_about({"subject": "other", "span": span})

    def test_what_has_no_span_is_about_its_whole_subject(self) -> None:
        assert Alert("stale", "s", "t", "x").is_about({"subject": "s", "span": (1.0, 2.0)})


class Told:
    """Takes alerts, or does not."""

    def __init__(self, takes: bool = True) -> None:
        self.takes, self.titles = takes, []

    def notify(self, title: str, body: str) -> bool:
        self.titles.append(title)
        return self.takes


@pytest.fixture
def phone(monkeypatch) -> Told:
    told = Told()
    monkeypatch.setattr(alerts, "open_addresses", lambda _: [told])
    return told


def desk(folder: Path, cap: int = 2) -> AlertSender:
    return AlertSender("x://y", folder / "a" / "b" / "memory.json", timedelta(hours=6), cap)


def told_in(folder: Path) -> dict:
    return json.loads((folder / "a" / "b" / "memory.json").read_text())


def test_each_severity_is_told_before_the_next_and_by_weight(phone: Told, tmp_path: Path) -> None:
    given = [("zone", 5.0), ("stale", 1.0), ("failure", 0.0), ("stale", 9.0), ("failure", 2.0)]
    desk(tmp_path).tell([Alert(kind, f"{kind}{weight}", f"{kind}{weight}", "", None, weight)
                         for kind, weight in given], NOW)  # fmt: skip
    assert phone.titles == ["failure2.0", "failure0.0", "stale9.0", "stale1.0"]  # the cap of two holds the zone back
    assert told_in(tmp_path)["said_today"] == 4


def test_the_memory_is_plain_and_a_cool_down_ends_at_its_instant(phone: Told, tmp_path: Path) -> None:
    alert = Alert("zone", "zone:B:long", "t", "x", (1.0, 2.0), 3.0)
    desk(tmp_path).tell([alert], NOW)
    assert told_in(tmp_path) == {
        "said": [{"subject": "zone:B:long", "span": [1.0, 2.0], "at": NOW.isoformat()}], "pending": [],
        "day": "2026-06-28", "said_today": 1,
    }  # fmt: skip
    assert desk(tmp_path).tell([alert], NOW + timedelta(hours=6, seconds=-1)).cooling == [alert]
    assert desk(tmp_path).tell([alert], NOW + timedelta(hours=6)).sent == [alert]


@pytest.mark.parametrize(("cap", "sent"), [(1, 1), (2, 2), (3, 3)])
def test_so_many_zones_are_told_a_day_and_no_more(cap: int, sent: int, phone: Told, tmp_path: Path) -> None:
    found = desk(tmp_path, cap).tell([Alert("zone", f"z{n}", f"z{n}", "") for n in range(4)], NOW)
    assert (len(found.sent), len(found.capped)) == (sent, 4 - sent)
    again = desk(tmp_path, cap).tell([Alert("zone", "z9", "z9", "")], NOW + timedelta(hours=11, minutes=59))
    assert again.capped
    assert desk(tmp_path, cap).tell([Alert("zone", "z9", "z9", "")], NOW + timedelta(hours=12)).sent


def test_what_nobody_takes_is_kept_once_with_its_span(phone: Told, tmp_path: Path) -> None:
    phone.takes = False
    zone = Alert("zone", "zone:B:long", "t", "x", (1.0, 2.0), 3.0)
    others = [Alert("zone", "zone:B:long", "u", "x", (1.5, 9.0), 1.0), Alert("zone", "zone:B:long", "v", "x", (7, 8))]

    found = desk(tmp_path).tell([zone, *others], NOW)

    assert found.undelivered == [zone, others[1]]  # the second is about the same zone as the first
    assert told_in(tmp_path)["pending"] == [asdict(one) | {"span": list(one.span)} for one in (zone, others[1])]
    assert told_in(tmp_path)["said"] == []
    phone.takes = True
    assert desk(tmp_path).tell([], NOW).sent == [zone, others[1]]
    assert told_in(tmp_path)["pending"] == []


def test_one_address_that_takes_it_is_enough(tmp_path: Path, monkeypatch) -> None:
    both = [Told(False), Told(True)]
    monkeypatch.setattr(alerts, "open_addresses", lambda _: both)
    assert desk(tmp_path).tell([CAPPED], NOW).sent == [CAPPED]
    assert [one.titles for one in both] == [["t"], ["t"]]


def test_a_symbol_is_forgotten_and_no_other(phone: Told, tmp_path: Path) -> None:
    desk(tmp_path).forget("B")
    assert not (tmp_path / "a").exists()
    said = ("stale:B", "failure:job:B", "stale:C")
    desk(tmp_path).tell([Alert("failure", subject, "t", "") for subject in said], NOW)
    phone.takes = False
    desk(tmp_path).tell([Alert("failure", "failure:x:B", "d", ""), Alert("failure", "B:x:C", "e", "")], NOW)
    assert (desk(tmp_path).remembered_of("B"), desk(tmp_path).remembered_of("C")) == (3, 2)

    desk(tmp_path).forget("B")

    assert (desk(tmp_path).remembered_of("B"), desk(tmp_path).remembered_of("C")) == (0, 2)


def test_the_outcome_in_words() -> None:
    assert str(Delivery()) == "nothing to say"
    assert str(Delivery([CAPPED], [CAPPED] * 2, [CAPPED] * 3, [CAPPED] * 4)) == (
        "1 sent; 2 could not be delivered, tried again; 3 said before; 4 held back by the daily cap"
    )


@pytest.mark.parametrize("given", ["json://127.0.0.1/a, nosuch://b", "nosuch://b", "nonsense"])
def test_an_address_that_cannot_be_used_is_an_error_whatever_the_others_are(given: str) -> None:
    with pytest.raises(SettingsError, match="cannot be used"):
        open_addresses(given)
    assert len(open_addresses("json://127.0.0.1/a, json://127.0.0.1/b")) == 2


def test_old_data_is_told_from_just_above_the_limit_on_in_hours() -> None:
    limit = timedelta(hours=1.5)
    assert stale_alert("B", NOW - limit, NOW, limit) is None
    alert = stale_alert("B", NOW - timedelta(hours=6.25), NOW, limit)
    assert alert == Alert(
        "stale", "stale:B", "B: data 6 h old",
        "The newest bar is of 2026-06-28 05:45 UTC; the limit is 1.5 h. The map shows a time that is over.",
        weight=6.25,
    )  # fmt: skip
    assert stale_alert("B", NOW - limit - timedelta(seconds=1), NOW, limit)
