from __future__ import annotations

from datetime import date

import pytest

from liq_pipeline.exchange.keys import METRICS, ArchiveDataset, klines


@pytest.mark.parametrize("dataset", [METRICS, klines("5m"), klines("15m")])
@pytest.mark.parametrize("symbol", ["BTCUSDT", "1000PEPEUSDT", "币安人生USDT", "BTCUSDT_260327", "ICPUSDTSETTLED"])
def test_a_key_is_read_back_as_its_day(dataset: ArchiveDataset, symbol: str) -> None:
    day = date(2026, 1, 11)
    assert dataset.day_of(symbol, dataset.key(symbol, day)) == day


def test_keys_are_the_exchanges() -> None:
    root = "data/futures/um/daily"
    assert METRICS.key("BTCUSDT", date(2026, 1, 11)) == f"{root}/metrics/BTCUSDT/BTCUSDT-metrics-2026-01-11.zip"
    assert klines("5m").key("BTCUSDT", date(2026, 1, 11)) == f"{root}/klines/BTCUSDT/5m/BTCUSDT-5m-2026-01-11.zip"


@pytest.mark.parametrize(
    "name",
    [
        "MATICUSDT-metrics-1993.zip",
        "MATICUSDT-metrics-2026-01-11.zip.CHECKSUM",
        "MATICUSDT-metrics-2026-02-30.zip",
        "MATICUSDT-metrics-2026-01-11.zip\n",
        "MATICUSDT-metrics-２０２６-01-11.zip",
        "XMATICUSDT-metrics-2026-01-11.zip",
        "part-00000-7ad6.zip",
    ],
)
def test_junk_keys_stand_for_no_day(name: str) -> None:
    assert METRICS.day_of("MATICUSDT", METRICS.prefix("MATICUSDT") + name) is None


def test_a_key_of_another_folder_stands_for_no_day() -> None:
    assert METRICS.day_of("BTCUSDT", "elsewhere/BTCUSDT-metrics-2026-01-11.zip") is None
