"""What is worth saying, once; received over a real socket."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from liq_pipeline.alerts.alerts import Alert, AlertSender, open_addresses, stale_alert, zone_alert
from liq_pipeline.alerts.zones import Reached, Zone, usd, zones
from liq_pipeline.errors import SettingsError
from liq_pipeline.published.schemas import LEVELS_SCHEMA

NOW = datetime(2026, 6, 28, 12, tzinfo=UTC)
PRICE = 10_000.0
SIDES = ("long", "short")


def levels(*bins: tuple[str, float, float], width: float = 10.0, leverages: int = 2) -> pa.Table:
    """Rows of levels from (side, price_low, USD); the USD are spread over leverages."""
    rows = [
        {
            "symbol": "BTCUSDT", "timeframe": "30d", "as_of": NOW, "side": side, "leverage": 10.0 * (n + 1),
            "price_low": low, "price_high": low + width, "contracts": usd / low / leverages,
            "notional_usd": usd / leverages, "current_price": PRICE, "distance_pct": 0.0,
        }
        for side, low, usd in bins
        for n in range(leverages)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=LEVELS_SCHEMA)


class TestZones:
    def test_neighbouring_bins_of_all_leverages_are_one_zone(self) -> None:
        (zone,) = zones(levels(("long", 9880, 4e6), ("long", 9890, 5e6), ("long", 9900, 3e6)), 2, 10e6)
        assert zone == Zone("long", 9880, 9910, pytest.approx(12e6), pytest.approx(0.9))

    def test_one_weak_or_empty_bin_does_not_part_a_zone_two_do(self) -> None:
        strong, weak = 5e6, 1e5
        one = levels(("short", 10_050, strong), ("short", 10_060, weak), ("short", 10_070, strong))
        assert len(zones(one, 2, 1e6)) == 1
        assert len(zones(levels(("short", 10_050, strong), ("short", 10_070, strong)), 2, 1e6)) == 1
        two = levels(("short", 10_050, strong), ("short", 10_080, strong))
        assert [zone.price_low for zone in zones(two, 2, 1e6)] == [10_050, 10_080]

    def test_large_levels_of_the_other_side_make_a_zone_no_smaller(self) -> None:
        small = ("short", 10_050, 5e6)
        (zone,) = zones(levels(small), 2, 1e6)
        assert zone in zones(levels(small, ("long", 9_700, 900e6), ("long", 9_990, 900e6)), 2, 1e6)

    def test_what_is_small_or_far_is_left_out(self) -> None:
        rows = levels(("long", 9900, 4e6), ("short", 10_300, 90e6))
        assert not zones(rows, 2, 5e6)
        assert len(zones(rows, 3.1, 5e6)) == 1

    def test_a_smooth_map_is_not_one_zone_from_end_to_end(self) -> None:
        rows = levels(*(("long", 9990 - 10 * n, 1e6 + 9e6 * (n == 12)) for n in range(40)))
        (zone,) = zones(rows, 2, 5e6)
        assert (zone.price_low, zone.price_high) == (9870, 9880)

    def test_the_largest_comes_first(self) -> None:
        found = zones(levels(("long", 9900, 4e6), ("short", 10_080, 7e6)), 2, 1e6)
        assert [zone.side for zone in found] == ["short", "long"]

    def test_no_levels_no_zones(self) -> None:
        assert zones(levels(), 2, 1) == []

    @given(
        st.lists(st.tuples(st.sampled_from(["long", "short"]), st.integers(1, 40), st.floats(1e3, 1e8)), max_size=30)
    )
    def test_zones_are_disjoint_hold_their_bins_and_do_not_depend_on_order(self, drawn) -> None:
        bins = {(s, PRICE - 10 * n if s == "long" else PRICE + 10 * n): value for s, n, value in drawn}
        rows = levels(*((side, low, value) for (side, low), value in bins.items()))
        found = zones(rows, 3, 0)
        for zone in found:
            inside = sum(
                v for (s, low), v in bins.items() if s == zone.side and zone.price_low <= low < zone.price_high
            )
            assert zone.notional_usd == pytest.approx(inside)
        for one in found:
            for other in found:
                apart = one.price_high <= other.price_low or other.price_high <= one.price_low
                assert one is other or one.side != other.side or apart
        backwards = rows.take(np.arange(rows.num_rows)[::-1])
        assert zones(backwards, 3, 0) == found


@pytest.fixture
def phone(httpserver: HTTPServer) -> HTTPServer:
    """Receives alerts."""
    httpserver.expect_request("/phone").respond_with_data("ok")
    return httpserver


def address(server: HTTPServer, path: str = "phone") -> str:
    return f"json://127.0.0.1:{server.port}/{path}"


def received(server: HTTPServer) -> list[str]:
    """Return the titles that arrived."""
    return [request.get_json()["title"] for request, _ in server.log]


def desk(server: HTTPServer, folder: Path, path: str = "phone", cap: int = 20) -> AlertSender:
    return AlertSender(address(server, path), folder / "memory.json", timedelta(hours=6), cap)


def about(subject: str, kind: str = "stale", weight: float = 0.0, span=None) -> Alert:
    return Alert(kind, subject, subject, "text", span, weight)


class TestTelling:
    def test_it_is_received_once_and_again_after_the_cool_down(self, phone: HTTPServer, tmp_path: Path) -> None:
        telling = desk(phone, tmp_path)
        assert len(telling.tell([about("a")], NOW).sent) == 1
        assert len(telling.tell([about("a")], NOW + timedelta(hours=5)).cooling) == 1
        assert received(phone) == ["a"]
        assert len(telling.tell([about("a")], NOW + timedelta(hours=6)).sent) == 1
        assert received(phone) == ["a", "a"]
        assert phone.log[0][0].get_json()["message"] == "text"

    def test_a_restart_does_not_repeat(self, phone: HTTPServer, tmp_path: Path) -> None:
        desk(phone, tmp_path).tell([about("a")], NOW)
        desk(phone, tmp_path).tell([about("a")], NOW + timedelta(minutes=1))
        assert received(phone) == ["a"]

    def test_a_zone_that_drifts_is_the_same_zone_and_another_is_another(
        self, phone: HTTPServer, tmp_path: Path
    ) -> None:
        telling = desk(phone, tmp_path)
        telling.tell([about("zone", "zone", span=(9880.0, 9910.0))], NOW)
        told = telling.tell([about("zone", "zone", span=(9890.0, 9930.0))], NOW + timedelta(minutes=5))
        assert len(told.cooling) == 1
        told = telling.tell([about("zone", "zone", span=(9700.0, 9720.0))], NOW + timedelta(minutes=10))
        assert len(told.sent) == 1

    def test_the_cap_holds_back_zones_smaller_ones_first_and_nothing_more_severe(
        self, phone: HTTPServer, tmp_path: Path
    ) -> None:
        telling = desk(phone, tmp_path, cap=2)
        many = [about(f"zone {n}", "zone", weight=n) for n in range(4)]
        told = telling.tell(many, NOW)
        assert received(phone) == ["zone 3", "zone 2"]
        assert [alert.subject for alert in told.capped] == ["zone 1", "zone 0"]
        telling.tell([about("stale"), about("failed", "failure")], NOW)
        assert received(phone)[2:] == ["failed", "stale"]
        tomorrow = telling.tell([about("zone 9", "zone")], NOW + timedelta(hours=12))
        assert len(tomorrow.sent) == 1, "the cap is per UTC day"

    def test_what_could_not_be_delivered_is_tried_again_and_sent_once(
        self, httpserver: HTTPServer, tmp_path: Path
    ) -> None:
        httpserver.expect_oneshot_request("/phone").respond_with_data("no", status=503)
        httpserver.expect_request("/phone").respond_with_data("ok")
        telling = desk(httpserver, tmp_path)
        assert len(telling.tell([about("a", "failure")], NOW).undelivered) == 1
        assert len(telling.tell([], NOW + timedelta(minutes=1)).sent) == 1
        assert len(telling.tell([about("a", "failure")], NOW + timedelta(minutes=2)).cooling) == 1
        assert received(httpserver) == ["a", "a"]  # one refused, one taken

    def test_every_address_gets_it_and_one_that_does_not_take_it_keeps_it_from_no_other(
        self, phone: HTTPServer, tmp_path: Path
    ) -> None:
        phone.expect_request("/broken").respond_with_data("no", status=503)
        phone.expect_request("/mail").respond_with_data("ok")
        several = ",".join(address(phone, path) for path in ("phone", "broken", "mail"))
        telling = AlertSender(several, tmp_path / "memory.json", timedelta(hours=6), 20)
        assert len(telling.tell([about("a")], NOW).sent) == 1
        assert [request.path for request, _ in phone.log] == ["/phone", "/broken", "/mail"]
        assert not telling.tell([], NOW + timedelta(minutes=1)).sent, "what one has taken is not sent again"

    def test_memory_stays_small_and_a_damaged_one_starts_anew(self, phone: HTTPServer, tmp_path: Path) -> None:
        telling = desk(phone, tmp_path)
        telling.tell([about("a")], NOW)
        telling.tell([], NOW + timedelta(hours=7))
        assert '"said": []' in (tmp_path / "memory.json").read_text()
        (tmp_path / "memory.json").write_text("{")
        assert len(telling.tell([about("a")], NOW).sent) == 1

    def test_addresses_are_secrets(self, phone: HTTPServer, tmp_path: Path) -> None:
        telling = AlertSender("discord://123/very-secret", tmp_path / "m.json", timedelta(hours=1), 1)
        assert "secret" not in repr(telling)
        with pytest.raises(SettingsError) as error:
            open_addresses("nosuch://very-secret")
        assert "very-secret" not in str(error.value)
        assert "nosuch:…" in str(error.value)

    def test_one_address_of_several_that_cannot_be_used_is_an_error(self) -> None:
        with pytest.raises(SettingsError, match=r"cannot be used \(given: json:…, nosuch:…\)"):
            open_addresses("json://127.0.0.1/a, nosuch://b")


class TestWords:
    def test_stale_data(self) -> None:
        alert = stale_alert("BTCUSDT", NOW - timedelta(hours=80), NOW, timedelta(hours=72))
        assert alert
        assert alert.title == "BTCUSDT: data 80 h old"
        assert alert.text.startswith("The newest bar is of 2026-06-25 04:00 UTC; the limit is 72 h.")
        assert stale_alert("BTCUSDT", NOW - timedelta(hours=72), NOW, timedelta(hours=72)) is None

    def test_a_zone_says_estimated_side_size_distance_and_age(self) -> None:
        zone = Zone("long", 63_200, 63_450, 123e6, 0.84)
        alert = zone_alert("BTCUSDT", zone, 63_987.5, NOW, "30d")
        assert alert.title == "BTCUSDT: est. $123M longs 0.8 % below"
        assert alert.text == (
            "Estimated long liquidations of $123M between 63,200 and 63,450; price 63,987.5 at 12:00 UTC. "
            "Positions of 30d. An estimate of exposure, not a forecast."
        )
        assert "right above" in zone_alert("X", Zone("short", 1.0, 1.1, 5e3, 0.0), 1.0, NOW, "30d").title

    @pytest.mark.parametrize(
        ("distance", "text"), [(0.0, "right below"), (0.04, "right below"), (0.05, "0.1 % below"), (1.0, "1.0 % below")]
    )
    def test_a_distance_that_would_read_as_none_is_said_in_words(self, distance: float, text: str) -> None:
        title = zone_alert("X", Zone("long", 1.0, 1.1, 5e3, distance), 1.2, NOW, "30d").title
        assert title == f"X: est. $5K longs {text}"

    @pytest.mark.parametrize(
        ("amount", "text"),
        [(6.46e9, "$6.46B"), (1.5e6, "$1.5M"), (2_300, "$2.3K"), (7, "$7"), (0, "$0"), (999, "$999"), (1e3, "$1K"),
         (1e6, "$1M"), (1e9, "$1B"), (999_499, "$999K"), (999_500, "$1M"), (999_499_999, "$999M"), (999.5e6, "$1B")],
    )  # fmt: skip
    def test_amounts(self, amount: float, text: str) -> None:
        assert usd(amount) == text


class TestCommand:
    def test_it_sends_one_to_every_address(self, phone: HTTPServer, liq, monkeypatch) -> None:
        monkeypatch.setenv("LIQ_ALERT_URLS", f"{address(phone)}, {address(phone, 'nobody')}")
        finished = liq("alerts", "test")
        assert finished.code == 1
        assert [line.split("  ")[0] for line in finished.out.splitlines()] == ["JSON: delivered", "JSON: NOT delivered"]
        assert received(phone)[0] == "liq_pipeline: test"

    def test_it_exits_with_0_where_every_address_took_it(self, phone: HTTPServer, liq, monkeypatch) -> None:
        monkeypatch.setenv("LIQ_ALERT_URLS", address(phone))
        finished = liq("alerts", "test")
        assert (finished.code, finished.out.split("  ")[0]) == (0, "JSON: delivered")

    def test_without_an_address_it_says_what_to_set(self, liq) -> None:
        finished = liq("alerts", "test")
        assert finished.code == 2
        assert "no address for alerts is set" in finished.err
        assert "LIQ_ALERT_URLS" in finished.err


def test_a_zone_alert_says_in_one_sentence_what_gets_liquidated_until_its_far_edge():
    zone = Zone("long", 71_200.0, 72_000.0, 90e6, 1.1)
    assert zone.far_edge == 71_200.0
    assert Zone("short", 71_200.0, 72_000.0, 90e6, 1.1).far_edge == 72_000.0
    said = Reached(zone.far_edge, 4, 2e6, 6e6, 17e6)
    text = zone_alert("BTCUSDT", zone, 72_800.0, datetime(2026, 4, 1, tzinfo=UTC), "30d", said).text
    assert text.endswith(
        "An estimate of exposure, not a forecast. If 71,200 is reached within 4 h: $2M to $17M liquidated on the way, "
        "half the time below $6M."
    )
    assert zone_alert("BTCUSDT", zone, 72_800.0, datetime(2026, 4, 1, tzinfo=UTC), "30d").text.endswith("a forecast.")
