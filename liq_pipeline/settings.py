"""Every setting of the project, typed and documented. Nothing else reads the environment.

A setting comes from a `LIQ_*` variable, or from the command-line option of the same name, which wins.
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from liq_pipeline import setting_forms as forms
from liq_pipeline.errors import SettingsError
from liq_pipeline.system.proxies import exempt_this_machine

BINANCE_ARCHIVE = "https://data.binance.vision"
BINANCE_LISTING = "https://s3-ap-northeast-1.amazonaws.com/data.binance.vision"
BINANCE_REST = "https://fapi.binance.com"
BINANCE_STREAM = "wss://fstream.binance.com/market"  # the routed address: the old one connects and stays silent
TEN_YEARS_HOURS = 87_600
DEFAULT_HISTORY = timedelta(days=120)  # the longest timeframe (90 d), the walk's burn-in (20 d), and some slack

Folder = Annotated[Path, BeforeValidator(forms.folder_of)]
Storage = Annotated[str, AfterValidator(lambda text: forms.storage_of(text, os.environ))]
Stream = Annotated[str, AfterValidator(lambda text: forms.url_parts(text, "ws", "wss").geturl())]


class Settings(BaseSettings):
    """The settings, with their defaults. Each is a `LIQ_<NAME>` variable."""

    model_config = SettingsConfigDict(env_prefix="LIQ_", extra="ignore", frozen=True, allow_inf_nan=False)

    symbols: Annotated[tuple[str, ...], NoDecode] = Field(
        ("BTCUSDT", "ETHUSDT", "SOLUSDT"),
        description="perpetuals to work on, comma-separated; or `all`, `top:50` (by turnover), patterns (`1000*`)",
    )
    bar: Literal["5m", "15m"] = Field("5m", description="width of a bar: 5m or 15m")
    model: Literal["1", "2"] = Field(
        "2", description="version of the model: 2, or 1, in which all positions open at their bar's VWAP"
    )
    since: date | None = Field(None, description="first day to load, YYYY-MM-DD (default: 120 days before now)")
    archive: str = Field(BINANCE_ARCHIVE, description="URL of the archive, or a folder that mirrors its layout")
    no_checksums: bool = Field(
        False,
        description="take files without a .CHECKSUM, and mark what is published `not verified`; folders only",
    )
    listing: str | None = Field(
        None, description="URL that lists the archive (default: the exchange's bucket, or the archive itself)"
    )
    rest: str | None = Field(
        None,
        description="URL of the REST interface that gives the newest hours, or `off` (default: the exchange's, if the "
        "archive is the exchange's own; else off)",
    )
    stream: Stream = Field(BINANCE_STREAM, description="address of the exchange's streams, for `liq record`")
    data_dir: Folder = Field(Path("data"), description="folder for everything that is made")
    storage: Storage = Field(
        "", description="`s3://bucket/prefix`: raw and published files, for many machines ([scale.md](scale.md))"
    )
    now: datetime | None = Field(
        None,
        description="ISO instant that stands for now, UTC if it names no zone; later bars are not read (default: "
        "the real clock)",
    )
    replay_speed: float = Field(
        0,
        ge=0,
        le=100_000,
        description="with LIQ_NOW: seconds that pass on our clock per real second; 0: it stands still",
    )
    replay_started: datetime | None = Field(
        None, description="with LIQ_REPLAY_SPEED: the real instant at which our clock showed LIQ_NOW"
    )
    workers: int = Field(8, ge=1, le=16, description="parallel downloads")
    jobs: int = Field(default_factory=forms.cores, ge=1, le=256, description="symbols at once (default: the cores)")
    pictures: bool = Field(True, description="draw pictures and pages, too: two fifths of a run's CPU time")
    memory_limit: Annotated[str, AfterValidator(forms.memory_of)] = Field(
        "2GB", description="DuckDB's memory limit: a number and KB, MB, GB, TB (or KiB …), at least `100MB`"
    )
    lock_timeout_seconds: float = Field(
        600, gt=0, le=7 * 86_400, description="how long to wait for another process's warehouse lock"
    )
    truth: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="files of reported liquidations, comma-separated, `SYMBOL=file` or a name that begins with the "
        "symbol: `model_validation` scores the map against them",
    )
    source_label: Annotated[str, AfterValidator(forms.label_of)] = Field("", description="note in titles and manifests")
    serve_host: str = Field("127.0.0.1", description="address that `liq serve` listens on")
    serve_port: int = Field(8000, ge=0, le=65535, description="port of `liq serve`")
    serve_token: str = Field(
        "",
        repr=False,
        description="if set, data is served only with this bearer token (the page takes it as `/#token=…`)",
    )
    serve_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="web origins that may read the service (CORS), comma-separated; none by default"
    )
    serve_rate_limit: Annotated[str, AfterValidator(forms.rate_of)] = Field(
        "600/minute", description="requests per client, such as 600/minute; empty: no limit"
    )
    alert_urls: str = Field(
        "",
        repr=False,
        description="where alerts go: [Apprise](https://github.com/caronc/apprise) addresses (Discord, Telegram, mail, "
        "webhooks), comma-separated",
    )
    alert_stale_hours: float = Field(
        72, gt=0, le=TEN_YEARS_HOURS, description="alert when the newest bar is older, hours"
    )
    alert_zone_pct: float = Field(2, gt=0, le=100, description="alert when price is this close to a large zone, %")
    alert_zone_usd: float = Field(50e6, gt=0, description="smallest zone to alert about, estimated USD")
    alert_cooldown_hours: float = Field(
        6, ge=0, le=TEN_YEARS_HOURS, description="hours of silence about the same thing after an alert"
    )
    alert_daily_cap: int = Field(20, ge=1, description="most alerts a day; the most severe are sent regardless")
    dagster_home: Folder | None = Field(
        None,
        validation_alias=AliasChoices("dagster_home", "DAGSTER_HOME"),
        description="where Dagster keeps its history (default: `<data>/dagster_home`)",
    )

    @field_validator("*", mode="before")
    @classmethod
    def _is_readable(cls, value: Any) -> Any:
        if isinstance(value, str | Path):
            forms.refuse_unreadable(str(value))
        return value

    @field_validator("symbols", mode="before")
    @classmethod
    def _split_symbols(cls, value: Any) -> Any:
        items = value.split(",") if isinstance(value, str) else value
        symbols = tuple(dict.fromkeys(forms.selector_of(item) for item in items if item.strip()))
        if not symbols:
            raise ValueError("no symbol given; for example LIQ_SYMBOLS=BTCUSDT,ETHUSDT")
        return symbols

    @field_validator("serve_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: Any) -> Any:
        items = value.split(",") if isinstance(value, str) else value
        return tuple(forms.origin_of(item.strip()) for item in items if item.strip())

    @field_validator("truth", mode="before")
    @classmethod
    def _split_truth(cls, value: Any) -> Any:
        items = [item.strip() for item in (value.split(",") if isinstance(value, str) else value)]
        return tuple(forms.truth_of(item) for item in items if item)

    @field_validator("archive")
    @classmethod
    def _names_an_archive(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("expected a URL or a folder")
        if "://" in value:
            forms.url_parts(value, "http", "https")
            return value
        return str(forms.path_of(value))

    @field_validator("no_checksums")
    @classmethod
    def _only_of_a_folder(cls, value: bool, info: ValidationInfo) -> bool:
        if value and str(info.data.get("archive", "")).startswith(("http://", "https://")):
            raise ValueError(
                f"only a folder can be read without checksums, and the archive is {info.data['archive']}; name the "
                "folder with --archive (LIQ_ARCHIVE)"
            )
        return value

    @field_validator("listing", "rest")
    @classmethod
    def _names_a_place(cls, value: str | None) -> str | None:
        if value is not None and value.lower() != "off":
            forms.url_parts(value, "http", "https")
        return value

    @field_validator("serve_host")
    @classmethod
    def _names_a_host(cls, value: str) -> str:
        host = value.strip().removeprefix("[").removesuffix("]")
        forms.refuse_no_host(host)
        return host

    @field_validator("serve_token")
    @classmethod
    def _can_be_sent(cls, value: str) -> str:
        return forms.token_of(value)

    @field_validator("since", mode="before")
    @classmethod
    def _is_a_day(cls, value: Any) -> Any:
        return forms.day_of(value) if isinstance(value, str) else value

    @field_validator("now", "replay_started", mode="before")
    @classmethod
    def _is_an_instant(cls, value: Any) -> Any:
        if isinstance(value, datetime):
            return forms.within_calendar(value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC))
        return forms.instant_of(value) if isinstance(value, str) else value

    # The last one that is defined runs first.
    @field_validator("since", "now", "listing", "rest", "replay_started", "dagster_home", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: Any) -> Any:
        return None if value == "" else value

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

    @property
    def raw_dir(self) -> Path:
        """Downloaded files, their manifest and the quarantine."""
        return self.data_dir / "raw"

    @property
    def database(self) -> Path:
        """The DuckDB files, one for each symbol."""
        return self.data_dir / "warehouse" / "{symbol}.duckdb"

    @property
    def recorded_dir(self) -> Path:
        """Recorded forced orders, and when they were listened to."""
        return self.data_dir / "recorded"

    @property
    def compiled_dir(self) -> Path:
        """Compiled functions, where they have no other place."""
        return self.data_dir / "compiled"

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


def load_settings(**overrides: Any) -> Settings:
    """Read the settings from the environment; `overrides` that are not None win.

    Raises:
        SettingsError: names each setting that cannot be used, what was read, and what was expected.
    """
    exempt_this_machine()
    try:
        settings = Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        said = "; ".join(forms.complaint(str(item["loc"][0]).lower(), item, overrides) for item in error.errors())
        raise SettingsError(said, remedy="see docs/settings.md") from None
    if settings.alert_urls.strip():
        from liq_pipeline.alerts.alerts import open_addresses

        open_addresses(settings.alert_urls)  # raises
    return settings
