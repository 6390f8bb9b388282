"""Each form is taken up to its limit, and refused one step beyond it."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from liq_pipeline import setting_forms as forms

LABEL_63 = "a" * 63
HOST_253 = ".".join([LABEL_63] * 3 + ["b" * 61])
KEY = {"AWS_ACCESS_KEY_ID": "k"}


def stored(text: str) -> str:
    return forms.storage_of(text, KEY)


def web(text: str) -> str:
    return forms.url_parts(text, "http", "https").geturl()


def host(text: str) -> None:
    forms.refuse_no_host(text)


TAKEN: list[tuple[Callable, str, object]] = [
    (forms.refuse_unreadable, "a ü", None),
    (forms.instant_of, "2000-01-01", datetime(2000, 1, 1, tzinfo=UTC)),
    (forms.instant_of, "2099-12-31T23:59:59.999999Z", datetime(2100, 1, 1, tzinfo=UTC) - timedelta(microseconds=1)),
    (forms.instant_of, " 2026-03-19T09:30+02:00 ", datetime(2026, 3, 19, 7, 30, tzinfo=UTC)),
    (forms.instant_of, "2026-03-19t09:30", datetime(2026, 3, 19, 9, 30, tzinfo=UTC)),
    (forms.day_of, "20260319", date(2026, 3, 19)),
    (forms.memory_of, "100MB", "100MB"),
    (forms.memory_of, "0.0001TB", "0.0001TB"),
    (forms.memory_of, " 1000TB ", "1000TB"),
    (forms.memory_of, "1000000000000KB", "1000000000000KB"),
    (web, "https://h:1/x", "https://h:1/x"),
    (web, "http://h", "http://h"),
    (stored, " ", ""),
    (stored, "s3://abc", "s3://abc"),
    (stored, " s3://bucket/a/b.c/ ", "s3://bucket/a/b.c"),
    (stored, f"s3://{LABEL_63}/{'p' * 100}", f"s3://{LABEL_63}/{'p' * 100}"),
    (host, "a.b", None),
    (host, f"{LABEL_63}.b.", None),
    (host, HOST_253, None),
    (host, "::1%eth0", None),
    (forms.origin_of, "*", "*"),
    (forms.origin_of, "HTTPS://Host:8443/", "https://host:8443"),
    (forms.rate_of, " ", ""),
    (forms.rate_of, "7 per 5 seconds", "7 per 5 seconds"),
    (forms.symbol_of, " btc_usdt ", "BTC_USDT"),
    (forms.symbol_of, "A" * 40, "A" * 40),
    (forms.selector_of, " ALL ", "all"),
    (forms.selector_of, "Top: 9999", "top:9999"),
    (forms.selector_of, "1000*", "1000*"),
    (forms.selector_of, "b?c", "B?C"),
    (forms.selector_of, "btcusdt", "BTCUSDT"),
    (forms.top_of, "top:50", 50),
    (forms.top_of, "BTCUSDT", 0),
    (forms.label_of, "x" * 60, "x" * 60),
    (forms.truth_of, "plain", "plain"),
    (forms.truth_of, " BTC_USDT = x=y.csv ", "BTC_USDT=x=y.csv"),
    (forms.truth_of, "/x/day=3/t.csv", "/x/day=3/t.csv"),
]

REFUSED: list[tuple[Callable, str, str]] = [
    (forms.instant_of, "1999-12-31T23:59:59.999999Z", "expected an instant from 2000 until before 2100"),
    (forms.instant_of, "2100-01-01", "expected an instant from 2000 until before 2100"),
    (forms.instant_of, "20260319000", "is not an instant"),  # Python takes the 0 for the T
    (forms.day_of, "2026-03-19T00:00:00.000001", "expected a day"),
    (forms.memory_of, "99.999MB", "is not between 100MB and 1000TB"),
    (forms.memory_of, "1000000000000.001KB", "is not between 100MB and 1000TB"),
    (forms.memory_of, "2", "is not an amount of memory"),
    (forms.token_of, "a b", "holds a blank"),
    (web, "https://h/a b", "holds a blank"),
    (web, "https://h:0", "of this kind; expected https://host"),
    (web, "ws://h", "of this kind"),
    (web, "https://", "of this kind"),
    (stored, "bucket/prefix", "names no bucket"),
    (stored, "s3://ab", "names no bucket"),
    (stored, f"s3://{LABEL_63}a", "names no bucket"),
    (stored, "s3://bucket/a//b", "a prefix of other signs"),
    (stored, "s3://bucket/../b", "a prefix of other signs"),
    (stored, "s3://bucket/a/.", "a prefix of other signs"),
    (stored, "s3://bucket/a/b c", "a prefix of other signs"),
    (host, "a..b", "is not the name of a host"),
    (host, ".", "is not the name of a host"),
    (host, f"{LABEL_63}a.b", "is not the name of a host"),
    (host, f"{HOST_253}b", "is not the name of a host"),
    (host, "a/b", "is not the name of a host"),
    (host, "::g", "is not an address"),
    (forms.origin_of, "https://h/x", "an origin has no path"),
    (forms.origin_of, "https://h?x=1", "an origin has no path"),
    (forms.origin_of, "https://h#x", "an origin has no path"),
    (forms.origin_of, "https://me@h", "an origin has no path"),
    (forms.rate_of, "7", "a number of requests and a span"),
    (forms.symbol_of, "A" * 41, r"'A{40}…' is not a symbol"),
    (forms.symbol_of, "A" * 39 + "-", r"'A{39}-' is not a symbol"),
    (forms.selector_of, "top:10000", "expected top:N"),
    (forms.selector_of, "a/*", "is no pattern"),
    (forms.selector_of, "a/b", "'A/B' is not a symbol"),
    (forms.label_of, "x" * 61, "has 61 characters; expected at most 60"),
    (forms.truth_of, "BTCUSDT=", "names no file"),
    (forms.truth_of, "=t.csv", "names no symbol"),
    (forms.refuse_unreadable, "a\x7f", "readable text"),
    (forms.refuse_unreadable, "a\udc80", "readable text"),
]


@pytest.mark.parametrize(("form", "text", "value"), TAKEN, ids=lambda one: getattr(one, "__name__", str(one))[:30])
def test_what_has_the_form_is_taken(form: Callable, text: str, value: object) -> None:
    assert form(text) == value


@pytest.mark.parametrize(("form", "text", "said"), REFUSED, ids=lambda one: getattr(one, "__name__", str(one))[:30])
def test_one_step_beyond_it_is_refused(form: Callable, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        form(text)


@pytest.mark.parametrize(
    ("text", "parts", "share"),
    [("2GB", 3, "667MB"), ("1.5GiB", 2, "805MB"), ("1TB", 1, "1000000MB"), ("1 TiB", 1, "1099512MB"),
     ("900000KB", 3, "300MB"), ("300000kib", 1, "307MB"), ("500mb", 7, "100MB"), ("700MiB", 1, "734MB")],
)  # fmt: skip
def test_a_share_of_memory_is_in_megabytes_and_never_less_than_a_run_needs(text: str, parts: int, share: str) -> None:
    assert forms.share_of_memory(text, parts) == share


@pytest.mark.parametrize(
    ("text", "stands_for_others"),
    [("all", True), ("top:3", True), ("1000*", True), ("B?C", True), ("BTCUSDT", False), ("ALLUSDT", False)],
)
def test_a_selector_stands_for_symbols_and_a_symbol_for_itself(text: str, stands_for_others: bool) -> None:
    assert forms.is_selector(text) is stands_for_others


@pytest.mark.parametrize(
    "name",
    ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
     "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_METADATA_ENDPOINT"],
)  # fmt: skip
def test_any_key_opens_a_bucket_and_none_or_an_empty_one_does_not(name: str) -> None:
    assert forms.storage_of("s3://bucket", {name: "x"}) == "s3://bucket"
    for environment in ({}, {name: ""}):
        with pytest.raises(ValueError, match="has no key; expected one of AWS_ACCESS_KEY_ID, "):
            forms.storage_of("s3://bucket", environment)


def test_a_tilde_is_expanded_behind_a_symbol_and_in_a_whole_path_only(monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")

    assert forms.truth_of("BTCUSDT=~/t.csv") == "BTCUSDT=/home/me/t.csv"
    assert forms.truth_of("~/day=~/t.csv") == "/home/me/day=~/t.csv"
    assert forms.path_of("x/~") == Path("x/~")


def test_a_folder_may_be_there_or_not_yet(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert forms.folder_of(tmp_path) == tmp_path
    assert forms.folder_of(str(tmp_path / "new")) == tmp_path / "new"
    for text, said in ((tmp_path / "file", "is a file"), (" ", "is empty")):
        with pytest.raises(ValueError, match=said):
            forms.folder_of(text)


def test_the_cores_are_those_that_this_process_may_use_where_the_system_tells(monkeypatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", {0: {2, 5, 7}}.__getitem__, raising=False)
    assert forms.cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    for count, cores in ((5, 5), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        assert forms.cores() == cores


@pytest.mark.parametrize(
    ("name", "given", "overrides", "said"),
    [
        ("serve_port", "70000", {}, "LIQ_SERVE_PORT='70000': bad"),
        ("serve_port", 70000, {"serve_port": 70000}, "--port='70000': bad"),
        ("data_dir", "x" * 100, {"data_dir": None}, f"LIQ_DATA_DIR='{'x' * 100}': bad"),
        ("alert_zone_pct", "x" * 101, {"alert_zone_pct": 0}, f"--alert-zone-pct='{'x' * 100}…': bad"),
        ("symbols", ("a", 5), {"symbols": ()}, "--symbols='a,5': bad"),
        ("symbols", ["a", "b"], {}, "LIQ_SYMBOLS='a,b': bad"),
        ("dagster_home", "h", {}, "DAGSTER_HOME='h': bad"),
        ("serve_token", "t", {}, "LIQ_SERVE_TOKEN=(not shown): bad"),
        ("alert_urls", "u", {"alert_urls": "u"}, "--alert-urls=(not shown): bad"),
    ],
)
def test_a_complaint_names_the_option_or_the_variable_and_what_was_given(name, given, overrides, said) -> None:
    assert forms.complaint(name, {"input": given, "msg": "Value error, bad"}, overrides) == said
