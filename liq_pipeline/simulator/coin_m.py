"""Publishes a market as COIN-M files, with the quirks of the real ones: doubled rows, start labels, values in coin."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np

from liq_pipeline.exchange.coin_m import KLINE_COLUMNS, SNAPSHOT_COLUMNS, contract_usd, key_of
from liq_pipeline.simulator.files import write_zip
from liq_pipeline.simulator.market import Market

_METRICS_HEADER = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
)


def publish_coin_m(market: Market, folder: Path, without_metrics: tuple[date, ...] = ()) -> None:
    """Write every day of a market as COIN-M liquidations, metrics and klines under `folder`.

    One contract of the market becomes as many COIN-M contracts as it was worth at the first price, so that what
    traders conserve stays conserved.

    Args:
        market: what to publish.
        folder: root of the mirror.
        without_metrics: days that have no metrics file (the real archive has a hole of 97 days).
    """
    config, bars = market.config, market.bars
    symbol, interval = config.symbol, f"{config.bar_minutes}m"
    face = contract_usd(symbol)
    each = config.start_price / face
    width = np.timedelta64(config.bar_minutes, "m")
    opened = bars["open_time"].astype("datetime64[ms]").astype(np.int64)
    rng = np.random.Generator(np.random.PCG64(config.seed))
    per_day = 1440 // config.bar_minutes
    for number in range(config.days):
        day = config.first_day + timedelta(days=number)
        rows = range(number * per_day, (number + 1) * per_day)
        lines = [
            f"{opened[i]},{bars['open'][i]},{bars['high'][i]},{bars['low'][i]},{bars['close'][i]},"
            f"{bars['volume'][i] * each:.0f},{opened[i] + int(width / np.timedelta64(1, 'ms')) - 1},"
            f"{bars['volume'][i] * each * face * bars['volume'][i] / bars['quote_volume'][i]:.8f},"
            f"{bars['trade_count'][i]},0,0,0"
            for i in rows
        ]
        _write(folder, key_of("klines", symbol, day, interval), [",".join(KLINE_COLUMNS), *lines])
        if day not in without_metrics:
            labels = (bars["ts"][rows.start : rows.stop] - np.timedelta64(5, "m")).astype("datetime64[s]").astype(str)
            lines = [
                f"{label.replace('T', ' ')},{symbol},{market.open_interest[i] * each:.0f},"
                f"{market.open_interest[i] * each * face / bars['close'][i]:.8f},1,1,1,1"
                for label, i in zip(labels.tolist(), rows, strict=True)
            ]
            _write(folder, key_of("metrics", symbol, day), [_METRICS_HEADER, *lines])
        lines = []
        for i in rows:
            for side, name in (("SELL", "long"), ("BUY", "short")):
                filled = round(float(market.liquidations[f"{name}_usd"][i]) / face)
                if filled:
                    at = opened[i] + int(rng.integers(1, config.bar_minutes * 60_000))
                    price = bars["low"][i] if name == "long" else bars["high"][i]
                    lines += [f"{at},{side},LIMIT,IOC,{filled},{price},{price},FILLED,1,{filled}"] * 2
        _write(folder, key_of("liquidationSnapshot", symbol, day), [",".join(SNAPSHOT_COLUMNS), *sorted(lines)])


def _write(folder: Path, key: str, lines: list[str]) -> None:
    (folder / key).parent.mkdir(parents=True, exist_ok=True)
    write_zip(folder, key, "\n".join(lines) + "\n")
