"""Files of every documented shape end on one clock; what was assumed is said."""

import numpy as np
import pandas as pd
import pytest

from liq_pipeline.errors import LiqError, NoData
from liq_pipeline.model.alignment import coarsen, spread_open_interest
from liq_pipeline.validation.files import bar_width
from liq_pipeline.validation.inputs import read_inputs
from liq_pipeline_tests.validation.conftest import frames, write


def read(folder, tables, **options):
    files = write(folder, tables)
    return read_inputs(
        files.klines, files.open_interest, files.liquidations, bar_minutes=options.pop("bar", 15), symbol="BTCUSDT",
        **options,
    )  # fmt: skip


def test_truth_stamps_are_read_as_the_end_that_fits_the_moves(tmp_path, scene):
    klines, open_interest, truth = frames(scene)
    start = read(tmp_path, (klines, open_interest, truth))
    end = read(tmp_path, (klines, open_interest, truth.assign(ts=truth["ts"] + pd.Timedelta("30min"))))
    assert any("name the start" in note for note in start.notes)
    assert any("name the end" in note for note in end.notes)
    assert np.array_equal(start.truth.end, end.truth.end)


def test_stamps_may_be_naive_or_numbers(tmp_path, scene):
    klines, open_interest, truth = frames(scene)
    plain = read(tmp_path, (klines, open_interest, truth))
    other = read(
        tmp_path,
        (
            klines.assign(ts=klines["ts"].dt.tz_localize(None)),
            open_interest.assign(ts=open_interest["ts"].astype("datetime64[ms, UTC]").astype("int64")),
            truth.assign(ts=truth["ts"].astype("datetime64[s, UTC]").astype("int64")),
        ),
    )
    assert np.array_equal(plain.data.walk_input.ts, other.data.walk_input.ts)
    assert np.array_equal(plain.data.walk_input.open_interest, other.data.walk_input.open_interest)
    assert np.array_equal(plain.truth.end, other.truth.end)


def test_open_time_is_the_start_of_a_bar(tmp_path, scene):
    klines, open_interest, truth = frames(scene)
    opened = klines.assign(open_time=klines["ts"] - pd.Timedelta("15min")).drop(columns="ts")
    assert np.array_equal(
        read(tmp_path, (opened, open_interest, truth)).data.walk_input.ts,
        read(tmp_path, (klines, open_interest, truth)).data.walk_input.ts,
    )


def test_opening_stamps_under_a_closing_name_are_noticed(tmp_path, scene):
    klines, open_interest, truth = frames(scene)
    found = read(tmp_path, (klines.assign(ts=klines["ts"] - pd.Timedelta("15min")), open_interest, truth))
    assert any("only as the START" in note for note in found.notes)
    assert found.data.walk_input.ts[0] == klines["ts"].iloc[0].tz_localize(None).to_datetime64()


@pytest.mark.parametrize("is_sparse", [False, True], ids=["as fine as the bars", "single events"])
def test_by_truth_that_cannot_tell_no_kline_is_read_against_its_name(tmp_path, scene, is_sparse):
    klines, open_interest, _ = frames(scene)
    reported = scene.market.liquidations
    truth = pd.DataFrame({"ts": klines["ts"], "long_usd": reported["long_usd"], "short_usd": reported["short_usd"]})
    usd = truth["long_usd"] + truth["short_usd"]
    if is_sparse:
        truth = truth[(usd > usd.shift(1)) & (usd > usd.shift(-1)) & (usd > usd.quantile(0.8))]
    early = klines.assign(ts=klines["ts"] - pd.Timedelta("15min"))
    found = read(tmp_path, (early, open_interest, truth))
    assert not any("only as the START" in note for note in found.notes)
    assert any("single events" in note for note in found.notes) is is_sparse


def test_open_interest_in_usd_becomes_contracts_at_the_price_of_its_instant(tmp_path, scene):
    klines, open_interest, truth = frames(scene)
    value = open_interest["open_interest"] * klines["close"]
    in_usd = pd.DataFrame({"ts": open_interest["ts"], "open_interest_value": value})
    found = read(tmp_path, (klines, in_usd, truth))
    assert np.allclose(found.data.walk_input.open_interest, open_interest["open_interest"])
    # Candles of open interest are stamped with their opening and close a step later: read as they are, they look ahead.
    candles = in_usd.assign(ts=in_usd["ts"] - pd.Timedelta("15min"))
    late = read(tmp_path, (klines, candles, truth))
    assert np.allclose(late.data.walk_input.open_interest, open_interest["open_interest"])
    assert any("start of its step" in note for note in late.notes)


def test_opening_and_closing_value_make_one_series(tmp_path, scene):
    klines, open_interest, truth = frames(scene)
    value = (open_interest["open_interest"] * klines["close"]).to_numpy()
    pair = pd.DataFrame(
        {
            "ts": open_interest["ts"].iloc[:-1],
            "open_interest_value_open": value[:-1],
            "open_interest_value_close": value[1:],
        }
    )
    found = read(tmp_path, (klines, pair, truth))
    assert np.allclose(found.data.walk_input.open_interest, open_interest["open_interest"])


def test_bad_rows_are_left_out_and_holes_are_not_scored(tmp_path, scene):
    klines, open_interest, truth = frames(scene)
    klines.loc[100:104, "high"] = np.nan
    klines = pd.concat([klines.drop(index=range(300, 310)), klines.iloc[:20]]).sample(frac=1, random_state=1)
    open_interest.loc[50:60, "open_interest"] = 0.0
    truth.loc[truth.index[70], "long_usd"] = np.nan
    found = read(tmp_path, (klines, open_interest.sample(frac=1, random_state=2), truth))
    bars = found.data.walk_input
    assert bars.ts.size == scene.data.walk_input.ts.size - 15
    assert (np.diff(bars.ts) > np.timedelta64(0)).all()
    assert (bars.open_interest > 0).all()
    assert found.facts["holes_in_bars"] == 2


def test_klines_without_volume_get_a_constant_turnover(tmp_path, scene):
    klines, open_interest, truth = frames(scene)
    found = read(tmp_path, (klines.drop(columns="volume"), open_interest, truth))
    assert (found.data.walk_input.volume > 0).all()
    assert any("without volume" in note for note in found.notes)


def test_finer_klines_are_merged(tmp_path, scene):
    klines, open_interest, truth = frames(scene)
    found = read(tmp_path, (klines, open_interest, truth), bar=60)
    assert found.data.width == np.timedelta64(60, "m")
    first = klines[(klines["ts"] > klines["ts"].iloc[3]) & (klines["ts"] <= klines["ts"].iloc[7])]
    assert found.data.walk_input.low[1] == first["low"].min()
    assert found.data.walk_input.volume[1] == pytest.approx(first["volume"].sum())


def test_single_events_are_summed_per_bar(tmp_path, scene):
    klines, open_interest, _ = frames(scene)
    at = klines["ts"].iloc[10] + pd.to_timedelta([1, 100, 500, 901, 4000, 9000, 20000], unit="s")
    events = pd.DataFrame({"ts": at, "long_usd": [1.0, 2, 3, 4, 5, 6, 7], "short_usd": 0.0})
    found = read(tmp_path, (klines, open_interest, events))
    assert found.truth.step == np.timedelta64(15, "m")
    assert found.truth.long_usd.sum() == pytest.approx(4 + 5 + 6)  # the outer bars may be parts and are left out


def test_change_of_open_interest_is_spread_by_volume_or_equally():
    ts = np.datetime64("2026-01-01", "us") + np.arange(5) * np.timedelta64(5, "m")
    at, values = ts[[0, 4]], np.array([100.0, 140.0])
    width = np.timedelta64(5, "m")
    open_interest, known = spread_open_interest(ts, width, np.array([9.0, 1, 1, 0, 2]), at, values)
    assert open_interest.tolist() == [100, 110, 120, 120, 140]
    assert known.tolist() == [True, False, False, False, True]
    open_interest, _ = spread_open_interest(ts, width, np.zeros(5), at, values)
    assert open_interest.tolist() == [100, 110, 120, 130, 140]


def test_a_wide_bar_with_a_hole_is_left_out(scene):
    keep = np.ones(scene.data.open.size, dtype=bool)
    keep[41] = False
    holed = type(scene.data)(
        type(scene.data.walk_input)(**{name: values[keep] for name, values in vars(scene.data.walk_input).items()}),
        scene.data.open[keep], scene.data.known[keep], scene.data.width,
    )  # fmt: skip
    whole, holed = (coarsen(data, np.timedelta64(60, "m")) for data in (scene.data, holed))
    assert holed.open.size == whole.open.size - 1


@pytest.mark.parametrize("lacking", ["low", "open_interest", "long_usd", "ts"])
def test_a_missing_column_is_named(tmp_path, scene, lacking):
    tables = tuple(table.drop(columns=lacking, errors="ignore") for table in frames(scene))
    with pytest.raises(LiqError, match=lacking):
        read(tmp_path, tables)


def test_files_without_common_time_are_refused(tmp_path, scene):
    klines, open_interest, truth = frames(scene)
    with pytest.raises(NoData, match="no time in common"):
        read(tmp_path, (klines, open_interest.assign(ts=open_interest["ts"] + pd.Timedelta("900D")), truth))


def test_widths_are_read():
    assert [bar_width(text) for text in ("5m", "15m", "1h")] == [5, 15, 60]
    with pytest.raises(LiqError, match="width"):
        bar_width("soon")
