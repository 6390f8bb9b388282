"""`python -m benchmarks.side_by_side`: ours and the legacy system's model on the same real data, as Markdown.

The figures of docs/legacy_system.md come from here. Data: BTCUSDT, 2026-03-13 to 2026-04-12, 15-minute bars, read from
`../shared/archive/btc-15m-2026-03`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from benchmarks.data import SYMBOL, temporary_warehouse
from benchmarks.levels import living_cells
from liq_pipeline.exchange.formats import read_klines, read_open_interest
from liq_pipeline.model.baselines import (
    LegacyInput,
    LegacyLevels,
    legacy_levels,
    legacy_levels_crossed,
    legacy_liquidation_price,
)
from liq_pipeline.model.levels import SPANS, Levels, liquidation_levels
from liq_pipeline.model.margin import SIDES, liquidation_price
from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.model.walk import Walk, walk
from liq_pipeline.transform.positions import read_walk_input

ARCHIVE = Path(__file__).parents[2] / "shared" / "archive" / "btc-15m-2026-03" / "data" / "futures" / "um" / "daily"
MILLION = 1e6
JOINED = """
SELECT k.ts, k.open, k.high, k.low, k.close, k.quote_volume, o.open_interest, o.open_interest_value_usd
FROM klines AS k JOIN open_interest AS o USING (symbol, ts)
WHERE symbol = $symbol AND o.open_interest > 0 ORDER BY k.ts
"""


def read() -> tuple[LegacyInput, np.ndarray, Walk]:
    """Return what the legacy model reads, open interest in contracts beside it, and our walk."""
    metrics = read_open_interest(sorted((ARCHIVE / "metrics" / SYMBOL).glob("*.zip")), SYMBOL)
    candles = read_klines(sorted((ARCHIVE / "klines" / SYMBOL / "15m").glob("*.zip")), SYMBOL, "15m")
    with temporary_warehouse() as warehouse, warehouse.transaction(SYMBOL) as tables:
        tables.replace("open_interest", SYMBOL, metrics.table)
        tables.replace("klines", SYMBOL, candles.table)
        tables.rebuild("oi_delta", SYMBOL)
        result = walk(read_walk_input(tables, SYMBOL), SYMBOL)
        rows = tables.sql(JOINED, symbol=SYMBOL)
    columns = {name: rows[name].to_numpy() for name in rows.column_names}
    contracts = columns.pop("open_interest")
    columns["ts"] = columns["ts"].astype("datetime64[us]")
    return LegacyInput(**columns), contracts, result


def main() -> int:
    """Print the tables."""
    if not ARCHIVE.is_dir():
        print(f"{ARCHIVE} is absent", file=sys.stderr)
        return 1
    candles, contracts, result = read()
    as_of, price = candles.ts[-1], float(candles.close[-1])
    assert as_of == result.bars.ts[-1]
    interest_usd = float(candles.open_interest_value_usd[-1])
    ours = liquidation_levels(living_cells(result), as_of, price)
    legacy = {name: legacy_levels(candles, span) for name, span in SPANS.items()}
    late = {name: legacy_levels(candles, span, as_of + np.timedelta64(2, "D")) for name, span in SPANS.items()}
    print(f"{candles.ts.size:,} bars to {np.datetime_as_string(as_of, 'm')} UTC; price {price:,.1f} USD; ", end="")
    print(f"open interest {contracts[-1]:,.0f} contracts = {interest_usd / MILLION:,.0f} million USD.\n")
    _totals(ours, legacy, late, float(contracts[-1]), interest_usd)
    print()
    _properties(candles, ours, legacy, late, result)
    print()
    _signs(candles, contracts)
    return 0


def _totals(
    ours: dict[str, Levels],
    legacy: dict[str, LegacyLevels],
    late: dict[str, LegacyLevels],
    contracts: float,
    interest_usd: float,
) -> None:
    print("| million USD | ours: long | ours: short | ours: contracts ÷ open interest, long / short | legacy: long "
          "| legacy: short | legacy: USD ÷ open interest, long / short | legacy, two days later: sum |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for name in TIMEFRAMES:
        mine = [_usd(ours[name], side) for side in (True, False)]
        theirs = [_usd(legacy[name], side) for side in (True, False)]
        shares = [100 * ours[name].contracts[ours[name].is_long == side].sum() / contracts for side in (True, False)]
        their_shares = [100 * usd * MILLION / interest_usd for usd in theirs]
        text = [f"{usd:,.0f}" for usd in mine] + [" / ".join(f"{share:.1f} %" for share in shares)]
        text += [f"{usd:,.0f}" for usd in theirs] + [" / ".join(f"{share:.1f} %" for share in their_shares)]
        later = sum(_usd(late[name], side) for side in (True, False))
        print(f"| {name} | {' | '.join(text)} | {later:,.0f} |")


def _usd(levels: Levels | LegacyLevels, is_long: bool) -> float:
    """Return the notional of one side, million USD."""
    return float(levels.notional_usd[levels.is_long == is_long].sum()) / MILLION


def _properties(
    candles: LegacyInput,
    ours: dict[str, Levels],
    legacy: dict[str, LegacyLevels],
    late: dict[str, LegacyLevels],
    result: Walk,
) -> None:
    print("| what | ours | legacy |")
    print("|---|---|---|")
    for name in TIMEFRAMES:
        crossed = legacy_levels_crossed(candles, legacy[name])
        usd = legacy[name].notional_usd
        print(f"| share of the shown USD that price has already crossed, {name} | {_touched(result, name):.1f} % "
              f"| {100 * usd[crossed].sum() / usd.sum():.1f} % |")  # fmt: skip
    bars = result.bars
    error = max(
        float(np.abs((side.tracked + side.untracked) / bars.open_interest - 1).max()) for side in result.sides.values()
    )
    print(f"| positions sum to open interest at every bar, per side | yes, to {error:.0e} | not defined |")
    print(f"| 1d ≤ 7d ≤ 30d ≤ 90d in USD, long and short | {_rising(ours)} | {_rising(legacy)} |")
    print(f"| 1d when data end two days before now | same levels, age shown "
          f"| {'empty' if not late['1d'].bar.size else 'not empty'} |")  # fmt: skip
    one_side = [100 * _usd(legacy[name], True) / (_usd(legacy[name], True) + _usd(legacy[name], False))
                for name in TIMEFRAMES]  # fmt: skip
    mine = [100 * _usd(ours[name], True) / (_usd(ours[name], True) + _usd(ours[name], False)) for name in TIMEFRAMES]
    print(f"| long share of the shown USD, 1d / 7d / 30d / 90d | {' / '.join(f'{share:.0f} %' for share in mine)} "
          f"| {' / '.join(f'{share:.0f} %' for share in one_side)} |")  # fmt: skip
    for side, sign in zip(SIDES, (1, -1), strict=True):
        exact = sign * (90_000 - float(liquidation_price(side, 90_000, 100, 0.004)))
        theirs = sign * (90_000 - float(legacy_liquidation_price(side, 90_000, 100)))
        print(f"| distance to liquidation at 100x, entry 90,000, {side} | {exact:,.2f} USD | {theirs:,.2f} USD: "
              f"{100 * (theirs / exact - 1):.0f} % too far |")  # fmt: skip


def _touched(result: Walk, name: str) -> float:
    """Return the share of our shown contracts whose price was reached after they opened, by a plain scan, per cent."""
    bars, shown, crossed = result.bars, 0.0, 0.0
    for side_name, side in result.sides.items():
        sign, extreme = (1, bars.low) if side_name == "long" else (-1, -bars.high)
        later = np.append(np.minimum.accumulate(extreme[::-1])[::-1][1:], np.inf)
        left = side.contracts_open() * (bars.ts > bars.ts[-1] - SPANS[name])[:, None]
        usd = np.where(left > 0, left * side.liquidation_price, 0.0)
        shown += usd.sum()
        crossed += usd[sign * side.liquidation_price >= later[:, None]].sum()
    return 100 * crossed / shown


def _rising(levels: dict[str, Levels] | dict[str, LegacyLevels]) -> str:
    sums = np.array([[_usd(found, side) for side in (True, False)] for found in levels.values()])
    return "yes" if (np.diff(sums, axis=0) >= 0).all() else "no"


def _signs(candles: LegacyInput, contracts: np.ndarray) -> None:
    usd, real = np.diff(candles.open_interest_value_usd), np.diff(contracts)
    moved = real != 0
    wrong = np.sign(usd[moved]) != np.sign(real[moved])
    volume = candles.quote_volume[1:]
    false = (usd > 0) & (real <= 0)
    print("| reading positions from the change of USD value | |")
    print("|---|---|")
    print(f"| bars in which the USD value moved the other way than contracts did | {100 * wrong.mean():.1f} % |")
    print(f"| bars taken as openings | {(usd > 0).sum():,} |")
    print(f"| of these, bars in which contracts did not rise | {100 * false.sum() / (usd > 0).sum():.1f} % |")
    print(f"| their share of the notional that the legacy model spreads (30d) | "
          f"{100 * volume[false].sum() / volume[usd > 0].sum():.1f} % |")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
