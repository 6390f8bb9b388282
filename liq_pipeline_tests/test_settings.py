"""Every setting has a form; what does not have it is refused at the start, named, with what was expected."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from pydantic import ValidationError

from liq_pipeline.errors import SettingsError
from liq_pipeline.settings import load_settings
from liq_pipeline.validation.named import NamedTruth

LONG = "a" * 300
DIGITS = "9" * 5000
REFUSED = {
    "LIQ_MEMORY_LIMIT": [
        "1Gi", "2048", "80%", "1KB", "-1", "", "1e9GB", "inf", "٣GB", "99999999TB", "99MB",
        f"{DIGITS}GB",
    ],
    "LIQ_NOW": [
        "12", "1773878400", "2026031", "1.5e9", "-5", "inf", "nan", "٢٠٢٦٠٣١٩", "2026-03-19T25:00", "yesterday", DIGITS,
        "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "9999-12-31", "1970-01-01",
    ],
    "LIQ_SINCE": ["1773878400", "2026-02-30", "2026-03-19T01:00", "0001-01-01", "9999-12-31", "12"],
    "LIQ_REPLAY_STARTED": ["5", "9999-12-31T23:59:59-23:59"],
    "LIQ_REPLAY_SPEED": ["inf", "nan", "1e300", "-1", "fast"],
    "LIQ_ALERT_STALE_HOURS": ["inf", "nan", "-inf", "1e300", "0"],
    "LIQ_ALERT_COOLDOWN_HOURS": ["inf", "nan", "1e308", "-1"],
    "LIQ_ALERT_ZONE_PCT": ["inf", "nan", "1e9", "0"],
    "LIQ_ALERT_ZONE_USD": ["inf", "nan", "0"],
    "LIQ_ALERT_DAILY_CAP": ["0", "٣", DIGITS],
    "LIQ_ALERT_URLS": ["nonsense://x", "hidden"],
    "LIQ_LOCK_TIMEOUT_SECONDS": ["inf", "nan", "1e308", "0"],
    "LIQ_WORKERS": ["many", "0", "100", "٣"],
    "LIQ_SERVE_RATE_LIMIT": [
        "٣/minute", "0/minute", "600/0minute", f"{DIGITS}/minute", "600", "5/fortnight", "-1/minute",
    ],
    "LIQ_SERVE_PORT": ["99999", "-1", "http"],
    "LIQ_SERVE_HOST": ["", "a b", "x:80", "http://x", LONG, "::z"],
    "LIQ_SERVE_TOKEN": ["a b", "a\tb"],
    "LIQ_SERVE_ORIGINS": ["x.org", "https://x.org/path", "http://[", "ftp://x.org"],
    "LIQ_STREAM": [
        "wss://[/market", "wss://h:99999/market", "http://h/market", "wss://a b/market", f"wss://{LONG}/market",
        "wss:///market",
    ],
    "LIQ_ARCHIVE": [" ", "http://[", "ftp://x", "http://x:0", "http://h:port", f"http://{LONG}"],
    "LIQ_LISTING": ["http://[", "a folder"],
    "LIQ_REST": ["http://[", "on", "https://"],
    "LIQ_SYMBOLS": [" , ", "../etc", "BTC USDT", LONG, "BTCUSDT,$\\frac$"],
    "LIQ_SOURCE_LABEL": [LONG, "two\nlines", "\x1b[31mred"],
    "LIQ_DATA_DIR": [LONG, "", "~nobody_of_this_name/x", "/etc/passwd", "a\udcffb"],
    "DAGSTER_HOME": [LONG, "/etc/passwd"],
    "LIQ_BAR": ["7m", "5"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("variable", "value"), [(name, value) for name, values in REFUSED.items() for value in values], ids=lambda v: v[:30]
)
def test_a_value_that_cannot_be_used_is_refused_by_name(variable: str, value: str, monkeypatch) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(SettingsError) as refused:
        load_settings()

    said = str(refused.value)
    assert variable in said
    assert len(said) < 500
    assert said.isprintable()


@pytest.mark.parametrize("variable", ["LIQ_SERVE_TOKEN", "LIQ_ALERT_URLS"])
def test_a_secret_that_cannot_be_used_is_not_shown(variable: str, monkeypatch) -> None:
    monkeypatch.setenv(variable, "very secret")

    with pytest.raises(SettingsError) as refused:
        load_settings()

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["20260319", "2026-03-19", "2026-03-19T00:00:00Z", "2026-03-19T02:00+02:00", "20260319T00z"]
)
def test_an_iso_instant_is_taken_whatever_its_form(text: str) -> None:
    assert load_settings(now=text).now == datetime(2026, 3, 19, tzinfo=UTC)


def test_eight_digits_are_a_day_for_since_too() -> None:
    assert load_settings(since="20260319").since == date(2026, 3, 19)


@pytest.mark.parametrize("text", ["2GB", "2 GB", "1.5GiB", "500mb", "100MB", "1TiB"])
def test_an_amount_of_memory_is_taken_as_duckdb_reads_it(text: str) -> None:
    import duckdb

    with duckdb.connect(config={"memory_limit": load_settings(memory_limit=text).memory_limit}) as connection:
        (limit,) = connection.execute("SELECT current_setting('memory_limit')").fetchone()
    assert limit.endswith("iB")


@pytest.mark.parametrize("text", ["600/minute", "600 per 2 minutes", "5/second", " 100/hour "])
def test_a_rate_is_taken_as_the_limiter_reads_it(text: str) -> None:
    from limits import parse

    assert parse(load_settings(serve_rate_limit=text).serve_rate_limit).amount in (600, 5, 100)


def test_a_tilde_is_the_home_in_every_path(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    found = load_settings(data_dir="~/d", archive="~/a", dagster_home="~/h", truth="BTCUSDT=~/t.csv,~/ETHUSDT.csv")

    assert (found.data_dir, found.archive, found.home) == (tmp_path / "d", str(tmp_path / "a"), tmp_path / "h")
    assert NamedTruth(found.truth, found.symbols).files_of("BTCUSDT") == [tmp_path / "t.csv"]
    assert NamedTruth(found.truth, found.symbols).files_of("ETHUSDT") == [tmp_path / "ETHUSDT.csv"]


@pytest.mark.parametrize("text", ["::1", "[::1]"])
def test_an_ipv6_host_is_taken_with_and_without_brackets(text: str) -> None:
    assert load_settings(serve_host=text).serve_host == "::1"


def test_secrets_are_in_no_text_of_the_settings() -> None:
    """Whoever logs them, or shows a traceback with them, must not publish a token."""
    settings = load_settings(serve_token="hidden-token", alert_urls="json://hidden-host/path")
    assert (settings.serve_token, settings.alert_urls) == ("hidden-token", "json://hidden-host/path")
    assert "hidden" not in repr(settings)
    assert "hidden" not in str(settings)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("ALERT_STALE_HOURS", 0.5), ("ALERT_COOLDOWN_HOURS", 0.25), ("ALERT_ZONE_PCT", 0.1), ("ALERT_ZONE_USD", 0.5),
     ("LOCK_TIMEOUT_SECONDS", 0.1)],
)  # fmt: skip
def test_a_fraction_is_taken_where_a_number_need_not_be_whole(variable: str, value: float, monkeypatch) -> None:
    monkeypatch.setenv(f"LIQ_{variable}", str(value))
    assert getattr(load_settings(), variable.lower()) == value


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("workers", 1, 16), ("jobs", 1, 256), ("serve_port", 0, 65_535), ("replay_speed", 0, 100_000),
     ("alert_cooldown_hours", 0, 87_600), ("alert_stale_hours", None, 87_600), ("alert_zone_pct", None, 100),
     ("alert_zone_usd", None, None), ("alert_daily_cap", 1, None), ("lock_timeout_seconds", None, 604_800)],
)  # fmt: skip
def test_a_number_is_taken_up_to_its_limits_and_refused_beyond(name: str, least: int | None, most: int | None) -> None:
    """Without a least one: any that is more than nothing."""
    for taken in (one for one in (least, most) if one is not None):
        assert getattr(load_settings(**{name: taken}), name) == taken
    for refused in (0 if least is None else least - 1, *([] if most is None else [most + 1])):
        with pytest.raises(SettingsError, match=f"--{name.removeprefix('serve_').replace('_', '-')}='{refused}'"):
            load_settings(**{name: refused})


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().workers = 3


OWN = "https://data.binance.vision"
LISTED = "https://s3-ap-northeast-1.amazonaws.com/data.binance.vision"


@pytest.mark.parametrize(
    ("given", "listing", "rest"),
    [
        ({}, LISTED, "https://fapi.binance.com"),
        ({"archive": f"{OWN}/"}, LISTED, "https://fapi.binance.com"),
        ({"archive": "/a/folder"}, "/a/folder", None),
        ({"archive": "http://mirror", "rest": "http://r/"}, "http://mirror", "http://r"),
        ({"listing": "http://l", "rest": "OFF"}, "http://l", None),
    ],
)
def test_the_listing_and_rest_are_the_exchanges_for_its_own_archive_only(given, listing, rest) -> None:
    found = load_settings(**given)
    assert (found.listing_url, found.rest_url) == (listing, rest)


def test_only_a_folder_is_read_without_checksums() -> None:
    assert load_settings(archive="/a/folder", no_checksums=True).no_checksums
    assert not load_settings(archive="/a/folder").no_checksums
    for archive in (OWN, "http://mirror"):
        with pytest.raises(SettingsError, match=f"only a folder .* the archive is {archive}"):
            load_settings(archive=archive, no_checksums=True)


@pytest.mark.parametrize("zone", [None, UTC, timezone(timedelta(hours=5, minutes=30))])
def test_an_instant_that_is_one_already_is_turned_to_utc(zone) -> None:
    given = datetime(2026, 3, 19, 12, tzinfo=zone)
    found = load_settings(now=given).now
    assert found.utcoffset() == timedelta(0)
    assert found.replace(tzinfo=None) == given.replace(tzinfo=None) - (given.utcoffset() or timedelta(0))


def test_an_empty_variable_is_unset_where_there_is_nothing_to_be_empty(monkeypatch) -> None:
    for name in ("LIQ_NOW", "LIQ_SINCE", "LIQ_LISTING", "LIQ_REST", "LIQ_REPLAY_STARTED", "DAGSTER_HOME"):
        monkeypatch.setenv(name, "")

    assert load_settings().now is None


def test_another_process_reads_the_same_settings(monkeypatch, tmp_path: Path) -> None:
    settings = load_settings(
        data_dir=tmp_path / "data",
        now="2026-03-19",
        symbols="BTCUSDT,ETHUSDT",
        truth="BTCUSDT=/t",
        source_label="a $b$",
    )
    for name, value in settings.as_environment().items():
        if name.startswith("LIQ_") or name == "DAGSTER_HOME":
            monkeypatch.setenv(name, value)

    assert load_settings() == settings.model_copy(update={"dagster_home": tmp_path / "data" / "dagster_home"})


def test_another_process_has_the_rest_of_the_environment_but_no_setting_that_this_one_has_not(monkeypatch) -> None:
    monkeypatch.setenv("LIQ_LISTING", "")
    monkeypatch.setenv("liq_unknown", "x")
    monkeypatch.setenv("ELSE_LIQ_X", "kept")

    found = load_settings(dagster_home="/a/home", symbols="ETHUSDT,BTCUSDT").as_environment()

    assert {"LIQ_LISTING", "LIQ_SINCE", "liq_unknown"}.isdisjoint(found)
    assert (found["ELSE_LIQ_X"], found["DAGSTER_HOME"]) == ("kept", "/a/home")
    assert (found["LIQ_SYMBOLS"], found["LIQ_PICTURES"]) == ("ETHUSDT,BTCUSDT", "True")


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"], ["recent"], ["demo"], ["ui"], ["status"], ["serve"], ["record"], ["coin-m"], ["alerts", "test"],
        ["validate", "--klines", "k", "--open-interest", "o", "--liquidations", "l"],
    ],
    ids=lambda arguments: arguments[0],
)  # fmt: skip
def test_every_command_refuses_a_bad_setting_at_the_start(
    arguments: list[str], liq, monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIQ_MEMORY_LIMIT", "80%")

    done = liq(*arguments)

    assert done.code == 2
    assert "LIQ_MEMORY_LIMIT='80%'" in done.err
    assert "such as 2GB" in done.err
    assert not list(tmp_path.iterdir())
