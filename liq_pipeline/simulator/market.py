"""A market whose truth is known: bars, open interest, and every position from opening to end.

With the default switches the traders do exactly what the model assumes; each switch breaks one assumption.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from liq_pipeline.simulator import ledger, paths, trading
from liq_pipeline.simulator.ledger import Rows, longer_book, longer_rows, new_book, new_rows

Columns = dict[str, NDArray[Any]]

LADDER = (3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 25.0, 35.0, 50.0, 75.0, 100.0, 125.0, 150.0)
CONCENTRATED = {10.0: 0.35, 20.0: 0.35, 50.0: 0.2, 100.0: 0.1}
# Notional cap (USD), maintenance rate, maintenance amount (USD), maximum leverage: BTCUSDT on 2026-09-29, the first
# seven brackets (exchange.md 5.3).
BRACKETS = (
    (300e3, 0.004, 0.0, 150.0),
    (800e3, 0.005, 300.0, 100.0),
    (3e6, 0.0065, 1_500.0, 75.0),
    (12e6, 0.01, 12_000.0, 50.0),
    (70e6, 0.02, 132_000.0, 25.0),
    (100e6, 0.025, 482_000.0, 20.0),
    (230e6, 0.05, 2_982_000.0, 10.0),
)
CLOSING = {
    "pro_rata": ledger.PRO_RATA,
    "oldest_first": ledger.OLDEST_FIRST,
    "winners_first": ledger.WINNERS_FIRST,
    "by_leverage": ledger.BY_LEVERAGE,
}


@dataclass(frozen=True)
class MarketConfig:
    """One simulated market. The same configuration gives the same market, bit for bit.

    Args:
        symbol: name of the perpetual.
        seed: seed of every draw.
        first_day: first UTC day.
        days: number of days.
        bar_minutes: width of a bar; 60 must be a multiple of it.
        steps: price steps inside a bar.
        start_price: first open, USD per contract.
        tick: price step, USD.
        open_interest: mean open interest, contracts.
        daily_volatility: of the price, relative per day.
        daily_turnover: volume of a day beside flows and liquidations, multiples of open interest.
        traders: positions per side that make up `open_interest`; more of them, less noise.
        ladder: leverages in use; those above `max_leverage`, or with 1/L ≤ `mmr`, are left out.
        weights: shares of the ladder; None for equal ones.
        mmr: maintenance-margin rate of the first bracket.
        max_leverage: highest leverage of the symbol.
        churn_per_turnover: churn per turnover, as the model has it.
        leverage_mix: "concentrated" breaks the equal weights: 10x, 20x, 50x and 100x only.
        closing: who closes. "oldest_first", "winners_first" and "by_leverage" (chance ∝ min(1, L/75)) break pro rata.
        entry: "low_to_high" breaks the entry at the VWAP: anywhere in the bar.
        sizes: "large" breaks the first bracket: 0.3 to 50 million USD, in the brackets of BTCUSDT.
        churn_factor: true churn as a multiple of the model's; other than 1 breaks it.
        churn_tilt: from -1 to 1; longs churn (1 + tilt) times, shorts (1 - tilt) times; other than 0 breaks symmetry.
    """

    symbol: str = "BTCUSDT"
    seed: int = 7
    first_day: date = date(2026, 6, 1)
    days: int = 30
    bar_minutes: int = 5
    steps: int = 20
    start_price: float = 90_000.0
    tick: float = 0.1
    open_interest: float = 85_000.0
    daily_volatility: float = 0.025
    daily_turnover: float = 2.5
    traders: int = 4_000
    ladder: tuple[float, ...] = LADDER
    weights: tuple[float, ...] | None = None
    mmr: float = 0.004
    max_leverage: float = 150.0
    churn_per_turnover: float = 0.05
    leverage_mix: Literal["ladder", "concentrated"] = "ladder"
    closing: Literal["pro_rata", "oldest_first", "winners_first", "by_leverage"] = "pro_rata"
    entry: Literal["vwap", "low_to_high"] = "vwap"
    sizes: Literal["small", "large"] = "small"
    churn_factor: float = 1.0
    churn_tilt: float = 0.0

    @property
    def bars(self) -> int:
        """Number of bars."""
        return self.days * 1440 // self.bar_minutes

    @property
    def leverages(self) -> dict[float, float]:
        """The leverages that occur, with their shares (sum 1)."""
        if self.leverage_mix == "concentrated":
            shares = CONCENTRATED
        else:
            shares = dict(zip(self.ladder, self.weights or (1.0,) * len(self.ladder), strict=True))
        shares = {
            lev: w for lev, w in sorted(shares.items()) if lev <= self.max_leverage and 1 / lev > self.mmr and w > 0
        }
        total = sum(shares.values())
        return {leverage: share / total for leverage, share in shares.items()}


@dataclass(frozen=True)
class Market:
    """What happened. Instants are `datetime64[ms]` UTC; quantities are contracts (three decimals), prices USD.

    Attributes:
        config: what was simulated.
        bars: open_time, ts (the closing instant), open, high, low, close, volume, quote_volume, trade_count,
            taker_buy_volume, taker_buy_quote_volume.
        open_interest: contracts at each `ts`; the sum of the alive longs, and of the alive shorts.
        positions: opened_at, closed_at (NaT while alive at the end), liquidated, side ("long" or "short"), leverage,
            entry_price, liquidation_price, contracts. Events carry the `ts` of their bar. Positions that were there
            before the first bar carry its open_time. One that was liquidated inside its own bar has
            `closed_at == opened_at`.
        liquidations: ts, long_contracts, short_contracts, long_usd, short_usd (contracts × liquidation price), per bar.
    """

    config: MarketConfig
    bars: Columns
    open_interest: NDArray[np.float64]
    positions: Columns
    liquidations: Columns

    def alive(self, at: np.datetime64) -> Columns:
        """Return the positions alive at the instant `at`, after the events of the bar that closed then."""
        opened, closed = self.positions["opened_at"], self.positions["closed_at"]
        keep = (opened <= at) & (np.isnat(closed) | (closed > at))
        return {name: column[keep] for name, column in self.positions.items()}


def simulate(config: MarketConfig) -> Market:
    """Simulate a market.

    Raises:
        ValueError: a configuration that cannot be simulated, naming the field.
    """
    _check(config)
    rng = np.random.Generator(np.random.PCG64([config.seed, *config.symbol.encode()]))
    per_day = 1440 / config.bar_minutes
    path = paths.price_path(
        rng, config.bars, config.steps, per_day, config.daily_volatility, config.start_price, config.tick
    )
    tape = trading.Tape(
        low=path.low,
        high=path.high,
        close=path.close,
        vwap=path.vwap,
        turnover=paths.turnover(rng, path, per_day, config.daily_turnover),
        shock=paths.open_interest_shocks(rng, config.bars, per_day),
        volume=np.zeros(config.bars, np.int64),
        quote=np.zeros(config.bars),
        open_interest=np.zeros(config.bars, np.int64),
        liquidated=np.zeros((2, config.bars), np.int64),
        liquidated_usd=np.zeros((2, config.bars)),
    )
    share = paths.taker_share(rng, path)
    rows = _trade(rng, tape, _rules(config, per_day), config.start_price)

    open_time = np.datetime64(config.first_day, "ms") + np.arange(config.bars + 1) * np.timedelta64(
        config.bar_minutes * 60_000, "ms"
    )
    return Market(
        config,
        _bars(open_time, path, tape, share),
        tape.open_interest / trading.LOTS,
        _positions(open_time, rows),
        _liquidations(open_time, tape),
    )


def _bars(open_time: trading.Array, path: paths.PricePath, tape: trading.Tape, share: trading.Array) -> Columns:
    bought = np.rint(tape.volume * share)
    return {
        "open_time": open_time[:-1],
        "ts": open_time[1:],
        "open": path.open,
        "high": path.high,
        "low": path.low,
        "close": path.close,
        "volume": tape.volume / trading.LOTS,
        "quote_volume": tape.quote,
        "trade_count": np.maximum(tape.quote / 8_000.0, 1.0).astype(np.int64),
        "taker_buy_volume": bought / trading.LOTS,
        "taker_buy_quote_volume": np.rint(tape.quote * bought / tape.volume * 1e4) / 1e4,
    }


def _positions(open_time: trading.Array, rows: trading.Rows) -> Columns:
    order = np.argsort(rows.opened, kind="stable")
    closed = rows.closed[order]
    return {
        "opened_at": open_time[rows.opened[order] + 1],
        "closed_at": np.where(closed < 0, np.datetime64("NaT", "ms"), open_time[closed + 1]),
        "liquidated": rows.liquidated[order],
        "side": np.array(["long", "short"])[rows.side[order]],
        "leverage": rows.leverage[order],
        "entry_price": rows.entry[order],
        "liquidation_price": rows.price[order],
        "contracts": rows.lots[order] / trading.LOTS,
    }


def _liquidations(open_time: trading.Array, tape: trading.Tape) -> Columns:
    return {
        "ts": open_time[1:],
        "long_contracts": tape.liquidated[0] / trading.LOTS,
        "short_contracts": tape.liquidated[1] / trading.LOTS,
        "long_usd": tape.liquidated_usd[0] / trading.LOTS,
        "short_usd": tape.liquidated_usd[1] / trading.LOTS,
    }


def _check(config: MarketConfig) -> None:
    faults = {
        "days": config.days < 1,
        "bar_minutes": config.bar_minutes < 1 or 60 % config.bar_minutes != 0,
        "start_price": config.start_price < 100 * config.tick,
        "open_interest": config.open_interest * trading.LOTS < config.traders,
        "weights": config.weights is not None
        and (len(config.weights) != len(config.ladder) or min(config.weights) < 0),
        "traders": config.traders < 1,
        "closing": config.closing not in CLOSING,
        "churn_factor": config.churn_factor < 0,
        "churn_tilt": abs(config.churn_tilt) > 1,
    }
    for field, wrong in faults.items():
        if wrong:
            raise ValueError(f"cannot simulate a market with {field}={getattr(config, field)!r}")
    if not sum(config.leverages.values()) > 0:
        raise ValueError(f"cannot simulate a market with ladder={config.ladder!r}: no leverage is allowed")


def _rules(config: MarketConfig, per_day: float) -> trading.Rules:
    shares = config.leverages
    brackets = np.array(BRACKETS)
    if config.sizes == "small":
        brackets = np.array([[np.inf, config.mmr, 0.0, config.max_leverage]])
    return trading.Rules(
        ladder=np.array(list(shares)),
        cumulative=np.cumsum(list(shares.values())),
        closing=CLOSING[config.closing],
        spread_entry=config.entry == "low_to_high",
        churn_per_turnover=config.churn_per_turnover,
        churn_long=config.churn_factor * (1 + config.churn_tilt),
        churn_short=config.churn_factor * (1 - config.churn_tilt),
        large=config.sizes == "large",
        brackets=brackets,
        traders=config.traders,
        level=float(np.rint(config.open_interest * trading.LOTS)),
        bars_per_day=per_day,
    )


def _trade(rng: np.random.Generator, tape: trading.Tape, rules: trading.Rules, start_price: float) -> Rows:
    """Run the compiled loop, with longer tables whenever it asks for them."""
    capacity = 4 * rules.traders + 4 * trading.ROWS_PER_BAR
    rows, longs, shorts = new_rows(capacity), new_book(capacity), new_book(capacity)
    state = np.zeros(1)
    trading.begin(rng, rows, longs, shorts, start_price, rules)
    bar = 0
    while (bar := trading.run(rng, bar, state, tape, rows, longs, shorts, rules)) < tape.close.size:
        rows, longs, shorts = longer_rows(rows), longer_book(longs), longer_book(shorts)
    return Rows(*(column[: rows.used[0]] for column in rows))
