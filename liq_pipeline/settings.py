"""Every setting of the project, typed and documented. Nothing else reads the environment.

A setting comes from a `LIQ_*` variable, or from the command-line option of the same name, which wins.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from liq_pipeline.errors import SettingsError

BINANCE_ARCHIVE = "https://data.binance.vision"
BINANCE_LISTING = "https://s3-ap-northeast-1.amazonaws.com/data.binance.vision"
BINANCE_REST = "https://fapi.binance.com"
BINANCE_STREAM = "wss://fstream.binance.com/market"  # the routed address: the old one connects and stays silent
LONGEST_SYMBOL = 64  # bytes; a symbol becomes a part of file names
DEFAULT_HISTORY = timedelta(days=120)  # the longest timeframe (90 d), the walk's burn-in (20 d), and some slack


class Settings(BaseSettings):
    """The settings, with their defaults. Each is a `LIQ_<NAME>` variable."""

    model_config = SettingsConfigDict(
        env_prefix="LIQ_", extra="ignore", frozen=True, populate_by_name=True, allow_inf_nan=False
    )

    symbols: Annotated[tuple[str, ...], NoDecode] = Field(
        ("BTCUSDT", "ETHUSDT", "SOLUSDT"), description="perpetuals to work on, comma-separated"
    )
    bar: Literal["5m", "15m"] = Field("5m", description="width of a bar: 5m or 15m")
    since: date | None = Field(None, description="first day to load, YYYY-MM-DD (default: 120 days before now)")
    archive: str = Field(BINANCE_ARCHIVE, description="URL of the archive, or a folder that mirrors its layout")
    no_checksums: bool = Field(
        False, description="whether to take files without a .CHECKSUM beside them; only where the archive is a folder"
    )
    listing: str | None = Field(
        None, description="URL that lists the archive (default: the exchange's bucket, or the archive itself)"
    )
    rest: str | None = Field(
        None,
        description="URL of the REST interface that gives the newest hours, or `off` (default: the exchange's, if the "
        "archive is the exchange's own; else off)",
    )
    stream: str = Field(BINANCE_STREAM, description="address of the exchange's streams, for `liq record`")
    data_dir: Path = Field(Path("data"), description="folder for raw files, the warehouse and published files")
    now: datetime | None = Field(None, description="ISO instant that stands for now, UTC (default: the real clock)")
    replay_speed: float = Field(
        0, ge=0, description="with LIQ_NOW: seconds that pass on our clock per real second; 0: it stands still"
    )
    replay_started: datetime | None = Field(
        None, description="with LIQ_REPLAY_SPEED: the real instant at which our clock showed LIQ_NOW"
    )
    workers: int = Field(8, ge=1, le=16, description="parallel downloads")
    memory_limit: str = Field("2GB", description="DuckDB's memory limit")
    lock_timeout_seconds: float = Field(600, gt=0, description="how long to wait for another process's warehouse lock")
    truth: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="reported liquidations to measure the map against, comma-separated: SYMBOL=file, or a file whose "
        "name begins with the symbol",
    )
    source_label: str = Field("", description="note shown in titles and manifests, e.g. 'simulated'")
    serve_host: str = Field("127.0.0.1", description="address that `liq serve` listens on")
    serve_port: int = Field(8000, ge=0, le=65535, description="port of `liq serve`")
    serve_token: str = Field("", repr=False, description="if set, data is served only with this bearer token")
    serve_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="web origins that may read the service (CORS), comma-separated; none by default"
    )
    serve_rate_limit: str = Field(
        "600/minute", description="requests per client, such as 600/minute; empty for no limit"
    )
    alert_urls: str = Field(
        "", repr=False, description="where alerts go: Apprise addresses (Discord, Telegram, Slack, mail, webhooks)"
    )
    alert_stale_hours: float = Field(72, gt=0, description="alert when the newest bar is older, hours")
    alert_zone_pct: float = Field(2, gt=0, description="alert when price is this close to a large zone, %")
    alert_zone_usd: float = Field(50e6, gt=0, description="smallest zone to alert about, estimated USD")
    alert_cooldown_hours: float = Field(6, ge=0, description="hours of silence about the same thing after an alert")
    alert_daily_cap: int = Field(20, ge=1, description="most alerts a day; the most severe are sent regardless")
    dagster_home: Path | None = Field(
        None,
        validation_alias=AliasChoices("dagster_home", "DAGSTER_HOME"),
        description="where Dagster keeps its history (default: <data_dir>/dagster_home)",
    )

    @field_validator("symbols", mode="before")
    @classmethod
    def _split_symbols(cls, value: Any) -> Any:
        items = value.split(",") if isinstance(value, str) else value
        symbols = tuple(dict.fromkeys(item.strip().upper() for item in items if item.strip()))
        if not symbols:
            raise ValueError("no symbol given; for example LIQ_SYMBOLS=BTCUSDT,ETHUSDT")
        for symbol in symbols:
            # Symbols may be non-ASCII words, but they become folder names and partition keys.
            if not symbol.replace("_", "").isalnum() or len(symbol.encode()) > LONGEST_SYMBOL:
                raise ValueError(
                    f"{symbol!r} is not a symbol; expected at most {LONGEST_SYMBOL} letters, digits and '_'"
                )
        return symbols

    @field_validator("serve_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: Any) -> Any:
        return tuple(item.strip() for item in value.split(",") if item.strip()) if isinstance(value, str) else value

    @field_validator("serve_rate_limit")
    @classmethod
    def _readable_rate(cls, value: str) -> str:
        if value and not re.fullmatch(r"[0-9]{1,9}\s*(/|per)\s*[0-9]{0,9}\s*(second|minute|hour|day)s?", value):
            raise ValueError("expected a number of requests and a span, such as 600/minute")
        return value

    @field_validator("truth", mode="before")
    @classmethod
    def _split_truth(cls, value: Any) -> Any:
        items = value.split(",") if isinstance(value, str) else value
        found = tuple(item.strip() for item in items if item.strip())
        for item in found:
            name, given, path = item.partition("=")
            if given and not (name.strip() and path.strip()):
                raise ValueError(f"{item!r} names no {'file' if name.strip() else 'symbol'}; expected SYMBOL=file")
        return found

    @field_validator("archive")
    @classmethod
    def _names_an_archive(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("expected a URL or a folder")
        return value

    @field_validator("no_checksums")
    @classmethod
    def _only_of_a_folder(cls, value: bool, info: ValidationInfo) -> bool:
        if value and str(info.data.get("archive", "")).startswith(("http://", "https://")):
            raise ValueError(
                f"only a folder can be read without checksums, and the archive is {info.data['archive']}; name the "
                "folder with --archive (LIQ_ARCHIVE)"
            )
        return value

    @field_validator("data_dir")
    @classmethod
    def _is_a_folder(cls, value: Path) -> Path:
        try:
            is_file = value.exists() and not value.is_dir()
        except OSError as error:  # a name that is too long
            raise ValueError(f"cannot be a folder: {error.strerror}") from error
        if is_file:
            raise ValueError("is a file; expected a folder, or a place for one")
        return value

    @field_validator("since", "now", "listing", "rest", "replay_started", "dagster_home", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("now", "replay_started")
    @classmethod
    def _now_in_utc(cls, value: datetime | None) -> datetime | None:
        if value is None:
            return None
        try:
            found = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        except OverflowError:
            found = None
        if found is None or not 2000 <= found.year < 9000:  # what is added to it must still be a date
            raise ValueError("expected an instant of this millennium, such as 2026-03-19T06:00Z")
        return found

    def truth_of(self, symbol: str) -> list[Path]:
        """Return the truth files of a symbol, in the order given."""
        return [path for item in self.truth for owner, path in [self._truth_item(item, symbol)] if owner == symbol]

    def truth_problems(self, symbol: str) -> list[str]:
        """Return what is odd about how truth files are named; what no symbol uses is told with the first symbol."""
        problems = []
        for item in self.truth:
            owner, path = self._truth_item(item)
            if owner not in self.symbols and symbol == self.symbols[0]:
                whose = f"of {owner}, which is not in LIQ_SYMBOLS" if owner else "of no symbol in LIQ_SYMBOLS"
                problems.append(f"LIQ_TRUTH={item}: not scored: it is {whose} ({', '.join(self.symbols)})")
            named = re.match(r"[^\W_]+(?:USDT|USDC)(?![^\W_])", path.name.upper())
            if owner == symbol and named and not path.name.upper().startswith(symbol):
                problems.append(f"LIQ_TRUTH={item}: the name of the file says {named[0]}, and not {symbol}")
        return problems

    def _truth_item(self, item: str, *more: str) -> tuple[str, Path]:
        """Return the symbol that an item of `truth` is of, empty if none of ours, and its file."""
        name, given, path = (part.strip() for part in item.partition("="))
        if given and name.replace("_", "").isalnum():  # a slash before the "=" belongs to a path
            return name.upper(), Path(path)
        owners = [symbol for symbol in (*self.symbols, *more) if Path(item).name.upper().startswith(symbol)]
        return max(owners, key=len, default=""), Path(item)

    @property
    def bar_minutes(self) -> int:
        """Width of a bar in minutes."""
        return int(self.bar.removesuffix("m"))

    @property
    def listing_url(self) -> str:
        """Where the archive is listed: its bucket for the exchange's own, else the archive itself."""
        return self.listing or (BINANCE_LISTING if self.archive.rstrip("/") == BINANCE_ARCHIVE else self.archive)

    @property
    def rest_url(self) -> str | None:
        """The REST interface, or None for the archive alone."""
        if self.rest is None:
            return BINANCE_REST if self.archive.rstrip("/") == BINANCE_ARCHIVE else None
        return None if self.rest.lower() == "off" else self.rest.rstrip("/")

    def refreshed(self, published: Iterable[str]) -> tuple[str, ...] | None:
        """Return the symbols that runs refresh, given what is published; None where that cannot be known.

        Somebody who names symbols with `liq run --symbols` only, and never sets LIQ_SYMBOLS, has none of its defaults.
        """
        if "symbols" not in self.model_fields_set and not set(published) & set(self.symbols):
            return None
        return self.symbols

    @property
    def raw_dir(self) -> Path:
        """Downloaded files, their manifest and the quarantine."""
        return self.data_dir / "raw"

    @property
    def database(self) -> Path:
        """The DuckDB file."""
        return self.data_dir / "warehouse" / "liq.duckdb"

    @property
    def recorded_dir(self) -> Path:
        """Recorded forced orders, and when they were listened to."""
        return self.data_dir / "recorded"

    @property
    def published_dir(self) -> Path:
        """What readers read."""
        return self.data_dir / "published"

    @property
    def home(self) -> Path:
        """Dagster's home."""
        return self.dagster_home or self.data_dir / "dagster_home"

    def as_environment(self) -> dict[str, str]:
        """Return an environment in which another process reads these same settings."""
        settings = {f"LIQ_{name.upper()}": self._as_text(value) for name, value in self if value is not None}
        others = {name: value for name, value in os.environ.items() if not name.upper().startswith("LIQ_")}
        return {**others, **settings, "DAGSTER_HOME": str(self.home.absolute())}

    @staticmethod
    def _as_text(value: Any) -> str:
        return ",".join(value) if isinstance(value, tuple) else str(value)

    def first_day(self, now: datetime) -> date:
        """Return the first day to load, given the current instant."""
        return self.since or (now - DEFAULT_HISTORY).date()


def load_settings(**overrides: Any) -> Settings:
    """Read the settings from the environment; `overrides` that are not None win.

    Raises:
        SettingsError: names each setting that cannot be used, what was read, and what was expected.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        lines = [
            f"{_as_typed(str(item['loc'][0]), overrides)}={str(item['input'])!r}: "
            f"{item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        ]
        raise SettingsError("; ".join(lines), remedy="see 'Settings' in the README") from None


def _as_typed(name: str, overrides: dict[str, Any]) -> str:
    """Return a setting's name as the user gave it: as an option, or as a variable."""
    option = "data" if name == "data_dir" else name.replace("_", "-")
    return f"--{option}" if overrides.get(name) is not None else f"LIQ_{name.upper()}"
