"""The service in operation: health, metrics, limits, tokens, and what it does while files are wrong or absent."""

from __future__ import annotations

import pytest

from liq_pipeline import client
from liq_pipeline.published.layout import dataset_path
from liq_pipeline.published.publish import Publisher

LEVELS = "/liquidations/levels?symbol=BTCUSDT"


def test_too_many_requests_wait(own_service) -> None:
    service = own_service(rate="5/minute")
    answers = [service.get("/symbols") for _ in range(6)]

    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


def test_a_token_guards_the_data_but_not_the_page(own_service) -> None:
    service = own_service(token="secret")

    assert service.get("/").status_code == 200
    assert service.get("/health").status_code == 200
    for path in (LEVELS, "/symbols", "/metrics", "/liquidations/heatmap?symbol=BTCUSDT"):
        assert service.get(path).status_code == 401
        assert service.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert service.get(path, headers={"Authorization": "Bearer secret"}).status_code == 200


def test_nothing_published_is_down_and_comes_up_without_a_restart(own_service, good_run, tmp_path) -> None:
    import shutil

    service = own_service(folder=tmp_path / "published")
    down = service.get("/health")
    assert (down.status_code, down.json()["status"]) == (503, "down")
    assert service.get(LEVELS).status_code == 404
    assert service.get("/symbols").json() == {"symbols": []}

    shutil.copytree(good_run.published_dir, tmp_path / "published")
    assert service.get("/health").json()["status"] == "ok"
    assert service.get(LEVELS).status_code == 200


def test_metrics_and_health_count_requests(own_service) -> None:
    service = own_service()
    for _ in range(3):
        service.get(f"{LEVELS}&timeframe=1d")
    service.get(f"{LEVELS}&timeframe=nonsense")

    text = service.get("/metrics").text
    assert 'liq_requests_total{endpoint="/liquidations/levels",status="200",timeframe="1d"} 3.0' in text
    assert 'liq_data_age_hours{symbol="BTCUSDT"} 6.0' in text
    assert "nonsense" not in text
    (seen,) = [
        row for row in service.get("/health").json()["requests"]
        if (row["endpoint"], row["timeframe"]) == ("/liquidations/levels", "1d")
    ]  # fmt: skip
    assert seen["requests"] == 3
    assert seen["error_rate"] == seen["empty_rate"] == 0
    assert 0 < seen["p50_ms"] <= seen["p95_ms"] <= seen["p99_ms"]


def test_metrics_tell_the_exposure_of_each_symbol(service, good_run) -> None:
    text = service.get("/metrics").text
    newest = client.liquidation_features("BTCUSDT", folder=good_run.published_dir).iloc[-1]
    levels = client.liquidation_levels("BTCUSDT", "7d", folder=good_run.published_dir)

    for side in ("long", "short"):
        for within, expected in (
            ("1pct", newest[f"{side}_usd_within_1_pct"]),
            ("7d", levels.loc[levels["side"] == side, "notional_usd"].sum()),
        ):
            line = f'liq_estimated_exposure_usd{{side="{side}",symbol="BTCUSDT",within="{within}"}} '
            (found,) = [text for text in text.splitlines() if text.startswith(line)]
            assert float(found.removeprefix(line)) == pytest.approx(expected, rel=1e-6)


def test_a_torn_pair_is_never_served(own_service, published) -> None:
    path = dataset_path(published, "liquidation_levels", "BTCUSDT", "7d")
    service = own_service(folder=published)
    before = service.get(LEVELS).content
    path.write_bytes(path.read_bytes() + b"x")  # a publisher died between the file and its manifest
    assert service.get(LEVELS).content == before  # the last good one

    fresh = own_service(folder=published)
    answer = fresh.get(LEVELS)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_the_service_opens_nothing_outside_published(service, monkeypatch) -> None:
    import builtins

    opened = []
    real = builtins.open
    monkeypatch.setattr(
        builtins, "open", lambda file, *rest, **more: opened.append(str(file)) or real(file, *rest, **more)
    )
    for symbol in ("../../warehouse", "/etc/passwd", "BTCUSDT/../..", "%2e%2e%2f", "symbol=BTCUSDT", ".", "*"):
        assert service.get("/liquidations/levels", params={"symbol": symbol}).status_code == 404
    assert not [file for file in opened if "passwd" in file or "warehouse" in file]


class TestSymbolsThatAreNotRefreshed:
    @pytest.mark.parametrize(
        ("refreshed", "status"), [(("ETHUSDT",), "ok"), (("BTCUSDT",), "degraded"), (None, "degraded")]
    )
    def test_their_age_does_not_degrade_health_and_is_said(self, refreshed, status, own_service) -> None:
        service = own_service(refreshed=lambda published: refreshed)
        service.hours = 72

        health = service.get("/health").json()

        (symbol,) = health["symbols"]
        assert health["status"] == status
        assert symbol["is_stale"]
        assert symbol["is_refreshed"] is (status == "degraded")
        assert ("no longer refreshed: not in LIQ_SYMBOLS, or not traded" in symbol["warning"]) is (status == "ok")

    def test_what_is_withdrawn_is_gone_from_every_answer(self, published, own_service) -> None:
        service = own_service(published)
        query = "symbol=BTCUSDT&timeframe=7d"
        before = service.get(f"/liquidations/levels?{query}"), service.get("/metrics")
        Publisher(folder=str(published)).withdraw("BTCUSDT")
        after = service.get(f"/liquidations/levels?{query}"), service.get("/metrics"), service.get("/symbols")

        assert (before[0].status_code, after[0].status_code) == (200, 404)
        assert 'symbol="BTCUSDT"' in before[1].text
        assert 'symbol="BTCUSDT"' not in after[1].text
        assert after[2].json() == {"symbols": []}
