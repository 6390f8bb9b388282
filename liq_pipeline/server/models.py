"""The shapes of the service's answers, for OpenAPI and tests. Answers are written from arrays, not through these."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_AGE: dict[str, Any] = {
    "as_of": "2026-04-12T02:00:00Z",
    "age_hours": 4.0,
    "is_ageing": False,
    "is_stale": False,
    "notice": "data up to 2026-04-12 02:00 UTC, 4.0 h old",
}
_MARGIN = Field(description="that default margin brackets stand in, in words; empty: the symbol has its own")
_LEVEL: dict[str, Any] = {
    "price_low": 70_300.0,
    "price_high": 70_350.0,
    "leverage": 50.0,
    "notional_usd": 4.2e7,
    "contracts": 597.1,
}
_BIN: dict[str, Any] = {
    "price": 70_325.0,
    "price_low": 70_300.0,
    "price_high": 70_350.0,
    "distance_pct": -1.78,
    "notional_usd": 6.1e7,
}


class Aged(BaseModel):
    """How old the data is. Windows are anchored to `as_of`, the newest complete bar, not to the clock."""

    as_of: str = Field(description="newest complete bar, ISO 8601, UTC")
    age_hours: float
    is_ageing: bool = Field(description="24 h or older: 1d leans on old data")
    is_stale: bool = Field(description="48 h or older")
    notice: str = Field(description="the same in words")


class Level(BaseModel):
    """One leverage in one price bin."""

    price_low: float = Field(description="USD")
    price_high: float = Field(description="USD")
    leverage: float
    notional_usd: float = Field(description="contracts × liquidation price, USD: exposure, not a forecast")
    contracts: float = Field(description="base asset")


class Levels(Aged):
    """Estimated liquidation levels of positions younger than the timeframe."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "symbol": "BTCUSDT", "timeframe": "7d", "source_label": "", **_AGE,
                "note": "Estimated from open interest and prices; exposure, not a forecast.", "current_price": 71_598.7,
                "margin_note": "", "bin_width": 50.0, "short_history": "", "long_liquidations": [_LEVEL],
                "short_liquidations": [],
            }
        }
    )  # fmt: skip
    symbol: str
    timeframe: str
    source_label: str = Field(description="such as 'simulated'; empty for the exchange's own data")
    note: str
    current_price: float
    margin_note: str = _MARGIN
    bin_width: float
    short_history: str = Field(description="in words, that the data does not fill the timeframe; empty where it does")
    long_liquidations: list[Level] = Field(description="below the price, nearest first")
    short_liquidations: list[Level] = Field(description="above the price, nearest first")


class Layer(BaseModel):
    """One side and leverage class."""

    side: Literal["long", "short"]
    leverage_class: str
    columns: list[list[int]] = Field(
        description="per column: index of the first row, then USD of that row and of the ones above it; [] if empty"
    )


class Heatmap(Aged):
    """Every position alive at each time, at display size."""

    symbol: str
    timeframe: str
    source_label: str
    note: str
    current_price: float
    short_history: str = Field(description="in words, that the data does not fill the timeframe; empty where it does")
    burn_in_days: float | None = Field(description="history before the first column; 20 days are wanted")
    margin_note: str = _MARGIN
    column_seconds: float
    columns: list[int] = Field(description="closing instants, epoch seconds")
    price_low: float = Field(description="lower edge of the first row, USD")
    row_height: float
    rows: int
    brightest_usd: float = Field(description="from here on one colour")
    brightest_quantile: float
    candles: list[list[float] | None] = Field(description="per column: open, high, low, close, volume")
    layers: list[Layer]


class BotHeatmap(BaseModel):
    """The shape that bots parse."""

    symbol: str
    timeframe: str
    source_label: str
    as_of: str
    note: str
    y_axis: list[float] = Field(description="middle price of each row")
    liquidation_leverage_data: list[tuple[int, int, int]] = Field(description="[x, y, usd]")
    price_candlesticks: list[tuple[int, str, str, str, str, str]] = Field(
        description='[opening second, "open", "high", "low", "close", "volume"]'
    )


class Bin(BaseModel):
    """A price bin, all leverages added."""

    price: float = Field(description="its middle")
    price_low: float
    price_high: float
    distance_pct: float
    notional_usd: float


class MaxPain(BaseModel):
    """Where one bin's width of price movement would liquidate the most."""

    price: float | None
    long: Bin | None
    short: Bin | None


class Summary(Aged):
    """Totals and landmarks."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "symbol": "BTCUSDT", "timeframe": "7d", "source_label": "", **_AGE, "note": "Estimated.",
                "current_price": 71_598.7, "margin_note": "",
                "bin_width": 50.0, "long_notional_usd": 3.6e9, "short_notional_usd": 6.1e9,
                "imbalance": -0.25, "imbalance_definition": "(long − short) / (long + short)",
                "nearest_long_clusters": [_BIN], "nearest_short_clusters": [], "cluster_definition": "A large bin.",
                "max_pain": {"price": 70_325.0, "long": _BIN, "short": None}, "max_pain_definition": "The densest bin.",
            }
        }
    )  # fmt: skip
    symbol: str
    timeframe: str
    source_label: str
    note: str
    current_price: float
    margin_note: str = _MARGIN
    bin_width: float
    long_notional_usd: float
    short_notional_usd: float
    imbalance: float
    imbalance_definition: str
    nearest_long_clusters: list[Bin]
    nearest_short_clusters: list[Bin]
    cluster_definition: str
    max_pain: MaxPain
    max_pain_definition: str


class Candle(BaseModel):
    """One column's candle."""

    ts: str = Field(description="closing instant")
    open_time: str
    open: float
    high: float
    low: float
    close: float
    volume: float


class Candles(Aged):
    """Candles of the heatmap's columns, oldest first."""

    symbol: str
    timeframe: str
    candles: list[Candle]


class Symbol(Aged):
    """One published symbol."""

    symbol: str
    timeframes: list[str]
    current_price: float
    source_label: str
    margin_note: str = _MARGIN


class Damaged(BaseModel):
    """A published file that is missing, cut short or altered."""

    symbol: str
    dataset: str
    timeframe: str = Field(description="empty for a dataset that has none")
    detail: str = Field(description="what is wrong, and what to do")


class Symbols(BaseModel):
    """What is published."""

    symbols: list[Symbol]
    damaged: list[Damaged] | None = Field(
        None, description="what is published and cannot be read; absent if all is well"
    )


class File(BaseModel):
    """One published file of rows."""

    url: str = Field(description="its address on this service", examples=["/files/candles/BTCUSDT/7d.parquet"])
    dataset: str
    symbol: str
    timeframe: str | None
    as_of: str
    row_count: int | None
    sha256: str


class Index(BaseModel):
    """Every published file of rows, and the columns of each dataset with their types (Arrow's names)."""

    schema_version: int
    files: list[File]
    columns: dict[str, dict[str, str]]


class SymbolHealth(BaseModel):
    """One symbol's data."""

    symbol: str
    latest: str
    age_hours: float
    is_stale: bool
    is_refreshed: bool = Field(description="false: not in LIQ_SYMBOLS; its age is no fault. To do: liq forget")
    warning: str | None = Field(description="for 1d, from 24 h on; or that it is not refreshed")


class Endpoint(BaseModel):
    """The last requests (at most 1,000) of one endpoint and timeframe."""

    endpoint: str
    timeframe: str | None
    requests: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    error_rate: float
    empty_rate: float


class Health(BaseModel):
    """How the service and its data are doing."""

    status: Literal["ok", "degraded", "down"] = Field(
        description="degraded: a symbol that is refreshed is 48 h old or older, or one is damaged; down: nothing is "
        "published"
    )
    symbols: list[SymbolHealth]
    damaged: list[Damaged] | None = Field(None, description="as in /symbols")
    requests: list[Endpoint]


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    similar: list[str] | None = Field(None, description="published symbols that may have been meant")
