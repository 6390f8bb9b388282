"""The published files, read with nothing but `csv` and `zipfile`: they hold the market, and each defect shows."""

import csv
import hashlib
import io
import zipfile
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from liq_pipeline.simulator.defects import ALL_DEFECTS
from liq_pipeline.simulator.files import (
    corrupt_zip,
    garbage_row,
    kline_key,
    metrics_key,
    remove_day,
    rewrite_day,
    wrong_checksum,
)
from liq_pipeline.simulator.market import MarketConfig, simulate
from liq_pipeline.simulator.mirror import publish

FLIP = date(2026, 6, 25)
LOSSLESS = sorted(name for name in ALL_DEFECTS if not name.endswith("_hole"))


def rows_of(folder, key):
    with zipfile.ZipFile(folder / key) as archive:
        (name,) = archive.namelist()
        assert name == key.rsplit("/", 1)[1].replace(".zip", ".csv")
        return list(csv.reader(io.StringIO(archive.read(name).decode())))


def days_of(market):
    return [market.config.first_day + timedelta(days=n) for n in range(market.config.days)]


def read_metrics(folder, market):
    """An independent reader of the rules of exchange.md 1.7: instant -> row, the later file wins."""
    found = {}
    for day in days_of(market):
        header, *rows = rows_of(folder, metrics_key(market.config.symbol, day))
        assert header[0] == "create_time"
        assert len(header) == 8
        for row in rows:
            label = datetime.fromisoformat(row[0]).replace(tzinfo=UTC)
            snapped = label.replace(second=0) - timedelta(minutes=label.minute % 5)
            assert label - snapped <= timedelta(seconds=60)
            found[snapped + timedelta(minutes=5 if day >= FLIP else 0)] = row
    return found


def read_klines(folder, market, interval):
    rows = []
    for day in days_of(market):
        of_day = rows_of(folder, kline_key(market.config.symbol, interval, day))
        rows += of_day if of_day[0][0].isdigit() else of_day[1:]
    return rows


def instants(market):
    return [stamp.replace(tzinfo=UTC) for stamp in market.bars["ts"].tolist()]


@pytest.mark.parametrize("defects", [(), LOSSLESS], ids=["clean", "lossless defects"])
def test_metrics_give_back_open_interest_exactly(market, tmp_path, defects):
    publish(market, tmp_path, intervals=(), defects=defects)
    found = read_metrics(tmp_path, market)
    assert sorted(found) == instants(market)
    contracts = np.array([float(found[ts][2]) for ts in instants(market)])
    value = np.array([float(found[ts][3]) for ts in instants(market)])
    np.testing.assert_array_equal(contracts, market.open_interest)
    np.testing.assert_allclose(value / contracts, market.bars["close"], rtol=1e-12)
    ratios = [float(cell) for ts in instants(market) for cell in found[ts][4:] if cell]
    assert 0.05 < min(ratios) < max(ratios) < 20


def test_labels_change_on_2026_06_25(market, tmp_path):
    publish(market, tmp_path, intervals=(), defects=())
    before = [row[0] for row in rows_of(tmp_path, metrics_key("BTCUSDT", date(2026, 6, 24)))[1:]]
    after = [row[0] for row in rows_of(tmp_path, metrics_key("BTCUSDT", date(2026, 6, 25)))[1:]]
    assert (before[0], before[-1], len(before)) == ("2026-06-24 00:05:00", "2026-06-25 00:00:00", 288)
    assert (after[0], after[-1], len(after)) == ("2026-06-25 00:00:00", "2026-06-25 23:55:00", 288)


def test_klines_give_back_the_bars_exactly(market, mirror):
    rows = read_klines(mirror, market, "5m")
    columns = list(zip(*rows, strict=True))
    assert [int(cell) for cell in columns[0]] == market.bars["open_time"].astype(int).tolist()
    assert {int(end) - int(start) for start, end in zip(columns[0], columns[6], strict=True)} == {299_999}
    places = {
        1: "open", 2: "high", 3: "low", 4: "close", 5: "volume", 7: "quote_volume", 8: "trade_count",
        9: "taker_buy_volume", 10: "taker_buy_quote_volume",
    }  # fmt: skip
    for place, name in places.items():
        np.testing.assert_array_equal(np.array(columns[place], float), market.bars[name])


def test_wider_klines_are_merged_bars(market, mirror):
    rows = np.array(read_klines(mirror, market, "15m"), float)
    bars = {name: column.reshape(-1, 3) for name, column in market.bars.items()}
    np.testing.assert_array_equal(rows[:, 1], bars["open"][:, 0])
    np.testing.assert_array_equal(rows[:, 2], bars["high"].max(axis=1))
    np.testing.assert_array_equal(rows[:, 3], bars["low"].min(axis=1))
    np.testing.assert_array_equal(rows[:, 4], bars["close"][:, -1])
    np.testing.assert_allclose(rows[:, 5], bars["volume"].sum(axis=1), atol=1e-3)
    assert set(rows[:, 6] - rows[:, 0]) == {899_999}


def test_every_zip_has_a_sidecar_that_matches(mirror):
    zips = sorted(mirror.rglob("*.zip"))
    assert len(zips) == 10 * 3 + 3
    for path in zips:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert path.with_name(path.name + ".CHECKSUM").read_text() == f"{digest}  {path.name}\n"


def test_the_same_market_gives_the_same_bytes(market, mirror, tmp_path):
    publish(market, tmp_path)
    files = sorted(path.relative_to(mirror) for path in mirror.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert all((mirror / path).read_bytes() == (tmp_path / path).read_bytes() for path in files)


class TestDefects:
    """Each one alone is seen in the bytes."""

    @pytest.fixture
    def texts(self, market, tmp_path, request):
        publish(market, tmp_path, intervals=("5m",), defects=[request.param])
        return [rows_of(tmp_path, metrics_key("BTCUSDT", day))[1:] for day in days_of(market)]

    def one(name):
        return pytest.mark.parametrize("texts", [name], indirect=True)

    @one("unsorted_rows")
    def test_unsorted_rows(self, texts):
        assert any([row[0] for row in rows] != sorted(row[0] for row in rows) for rows in texts)

    @one("doubled_rows")
    def test_doubled_rows(self, texts):
        assert any(set(Counter(map(tuple, rows)).values()) == {2} for rows in texts)

    @one("quoted_empty_ratios")
    def test_quoted_empty_ratios(self, texts, tmp_path):
        assert any(row[4:] == [""] * 4 for rows in texts for row in rows)
        raw = [zipfile.ZipFile(path).read(path.stem + ".csv") for path in tmp_path.rglob("*-metrics-*.zip")]
        assert any(b'"","","",""' in text for text in raw)

    @one("blank_ratios")
    def test_blank_ratios(self, texts):
        assert any(row[7] == "" and row[6] != "" for rows in texts for row in rows)

    @one("seconds_jitter")
    def test_seconds_jitter(self, texts):
        labels = [row[0] for rows in texts for row in rows]
        assert any(label.endswith(" 00:00:02") for label in labels)
        assert sum(label.endswith(":02") for label in labels) > 10

    @one("midnight_in_two_files")
    def test_midnight_in_two_files_with_different_values(self, texts):
        pairs = [(a, b) for one, two in pairwise(texts) for a in one for b in two if a[0] == b[0]]
        days = {a[0][:10] for a, b in pairs if a[2] != b[2]}
        assert any(day < "2026-06-25" for day in days)
        assert any(day > "2026-06-25" for day in days)

    @one("zero_open_interest_hole")
    def test_zero_open_interest(self, texts):
        assert sum(float(row[2]) == 0 for rows in texts for row in rows) == 1

    @one("row_hole")
    def test_row_hole(self, texts):
        assert sorted(map(len, texts)) == [282] + [288] * 9

    @one("headerless_klines")
    def test_headerless_klines(self, market, texts, tmp_path):
        firsts = [rows_of(tmp_path, kline_key("BTCUSDT", "5m", day))[0][0] for day in days_of(market)]
        assert {first.isdigit() for first in firsts} == {True, False}

    @one("junk_keys")
    def test_junk_keys(self, texts, tmp_path):
        assert list(tmp_path.rglob("BTCUSDT-metrics-1993.zip"))
        assert list(tmp_path.rglob("part-00000-*.zip"))

    def test_all_are_covered(self):
        assert {name.removeprefix("test_") for name in dir(self)} >= ALL_DEFECTS - {
            "midnight_in_two_files",
            "zero_open_interest_hole",
        }

    def test_an_unknown_one_is_refused(self, market, tmp_path):
        with pytest.raises(ValueError, match="unknown defects"):
            publish(market, tmp_path, defects=["typo"])


def test_wide_bars_have_wide_metrics_with_every_defect(tmp_path):
    wide = simulate(MarketConfig(first_day=date(2026, 6, 22), days=8, traders=50, bar_minutes=15))
    publish(wide, tmp_path, intervals=("15m", "1h"), defects=LOSSLESS)
    found = read_metrics(tmp_path, wide)
    assert sorted(found) == instants(wide)
    np.testing.assert_array_equal([float(found[ts][2]) for ts in instants(wide)], wide.open_interest)
    publish(wide, tmp_path, intervals=("15m", "1h"))


def test_wide_bars_cannot_give_narrow_klines(tmp_path):
    wide = simulate(MarketConfig(days=1, traders=50, bar_minutes=15))
    with pytest.raises(ValueError, match="5m klines"):
        publish(wide, tmp_path, intervals=("5m",))


def test_other_symbols_have_their_own_decimals(tmp_path):
    config = MarketConfig(symbol="SOLUSDT", days=1, traders=50, start_price=150.0, tick=0.01, open_interest=9e6)
    market = simulate(config)
    publish(market, tmp_path, intervals=("5m",), defects=())
    rows = read_klines(tmp_path, market, "5m")
    assert {len(row[4].split(".")[1]) for row in rows} == {2}
    np.testing.assert_array_equal(np.array([row[4] for row in rows], float), market.bars["close"])
    found = read_metrics(tmp_path, market)
    np.testing.assert_array_equal([float(found[ts][2]) for ts in instants(market)], market.open_interest)


def test_rewriting_with_another_seed_changes_the_bytes(market, tmp_path):
    publish(market, tmp_path, intervals=())
    key = metrics_key("BTCUSDT", date(2026, 6, 20))
    before = (tmp_path / key).read_bytes()
    publish(simulate(replace(market.config, seed=99)), tmp_path, intervals=())
    assert (tmp_path / key).read_bytes() != before


class TestFaults:
    """What tests plant in a mirror; each is bad in one way only."""

    KEY = metrics_key("BTCUSDT", date(2026, 6, 22))

    @pytest.fixture
    def folder(self, market, tmp_path):
        publish(market, tmp_path, intervals=("5m",), defects=())
        return tmp_path

    def sidecar_matches(self, folder, key):
        digest = hashlib.sha256((folder / key).read_bytes()).hexdigest()
        return (folder / f"{key}.CHECKSUM").read_text().split()[0] == digest

    def test_corrupt_zip(self, folder):
        corrupt_zip(folder, self.KEY)
        assert not zipfile.is_zipfile(folder / self.KEY)
        assert self.sidecar_matches(folder, self.KEY)

    def test_wrong_checksum(self, folder):
        before = (folder / self.KEY).read_bytes()
        wrong_checksum(folder, self.KEY)
        assert (folder / self.KEY).read_bytes() == before
        assert not self.sidecar_matches(folder, self.KEY)

    def test_remove_day(self, folder):
        remove_day(folder, self.KEY)
        assert not list(folder.rglob("BTCUSDT-metrics-2026-06-22.zip*"))

    @pytest.mark.parametrize("key", [KEY, kline_key("BTCUSDT", "5m", date(2026, 6, 22))])
    def test_garbage_row(self, folder, key):
        before = rows_of(folder, key)
        garbage_row(folder, key)
        after = rows_of(folder, key)
        changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
        assert len(changed) == 1
        assert "garbage" in changed[0][1]
        assert self.sidecar_matches(folder, key)

    def test_rewrite_day(self, folder):
        rewrite_day(folder, self.KEY, lambda lines: lines[:100])
        assert len(rows_of(folder, self.KEY)) == 100
        assert self.sidecar_matches(folder, self.KEY)
