"""An archive that cannot be reached, or that lacks its sidecars: one clear message with the way out."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from liq_pipeline.published.layout import dataset_path
from liq_pipeline.published.manifests import read_manifest
from liq_pipeline.settings import Settings
from liq_pipeline.simulator.files import (
    kline_key,
    metrics_key,
)
from liq_pipeline.simulator.server import ArchiveServer, Fault

pytestmark = pytest.mark.whole_run


def test_the_last_days_sidecar_is_late_and_nothing_is_lost(copy_of, liq, run_options, tmp_path: Path) -> None:
    exchange = copy_of(tmp_path / "exchange")
    for key in (metrics_key("BTCUSDT", exchange.day(9)), kline_key("BTCUSDT", "5m", exchange.day(9))):
        (exchange.folder / f"{key}.CHECKSUM").unlink()

    done = liq("run", *run_options(exchange, tmp_path / "data"))

    assert done.code == 0, done.out


@pytest.fixture(scope="module")
def bare(copy_of, tmp_path_factory):
    """A mirror as the exchange's own download scripts make it."""
    exchange = copy_of(tmp_path_factory.mktemp("bare") / "exchange")
    for sidecar in exchange.folder.rglob("*.CHECKSUM"):
        sidecar.unlink()
    return exchange


class TestAMirrorWithoutSidecars:
    def test_it_is_said_with_the_way_out(self, bare, liq, run_options, tmp_path: Path) -> None:
        done = liq("run", *run_options(bare, tmp_path / "data"))

        assert done.code == 1
        out = " ".join(done.out.split())
        assert "no .CHECKSUM beside 10 zips of BTCUSDT metrics" in out
        assert "no .CHECKSUM beside 10 zips of BTCUSDT klines-5m" in out
        assert "--no-checksums" in out
        assert "choose an earlier" not in out

    def test_with_leave_it_is_published_and_every_place_says_that_it_was_not_verified(
        self, bare, liq, run_options, exchange, tmp_path: Path
    ) -> None:
        data = tmp_path / "data"
        done = liq("run", *run_options(bare, data), "--no-checksums")
        told = "CHECKSUMS not verified: 20 files without a .CHECKSUM"

        assert done.code == 0, done.out + done.err
        assert told in done.out
        assert told in liq("status", "--data", data, "--now", bare.now.isoformat()).out
        for dataset, timeframe in (("liquidation_levels", "7d"), ("oi_delta", None), ("liquidation_heatmap", "7d")):
            manifest = read_manifest(dataset_path(data / "published", dataset, "BTCUSDT", timeframe))
            assert manifest
            assert manifest["checksums"] == "not verified: 20 files without a .CHECKSUM"

        verified = liq("run", *run_options(exchange, data))  # the same files, with their sidecars

        assert verified.code == 0
        assert "0 files fetched" in verified.out
        assert "CHECKSUMS" not in verified.out
        manifest = read_manifest(dataset_path(data / "published", "oi_delta", "BTCUSDT"))
        assert manifest
        assert manifest["checksums"] == "verified"

    def test_over_http_the_leave_is_wrong_usage(self, bare, liq, run_options, tmp_path: Path) -> None:
        done = liq("run", *run_options(bare, tmp_path / "data", archive="http://127.0.0.1:1"), "--no-checksums")

        assert done.code == 2
        assert "--no-checksums='True': only a folder can be read without checksums" in done.err


class TestArchiveOutOfReach:
    @pytest.fixture
    def closed_port(self) -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    def _is_one_clear_message(self, done, host: str) -> None:
        assert done.code == 1
        assert len(done.err.strip().splitlines()) == 1
        assert host in done.err
        assert "liq demo" in done.err
        assert "Traceback" not in done.err
        assert "published;" not in done.out

    @pytest.mark.parametrize("status", [403, 451])
    def test_a_refusal_is_one_message_that_names_the_host_and_the_way_out(
        self, status: int, exchange, liq, run_options, tmp_path: Path
    ) -> None:
        with ArchiveServer(exchange.folder, faults=lambda _: Fault(status=status)) as server:
            done = liq("run", *run_options(exchange, tmp_path / "data", archive=server.url))

        self._is_one_clear_message(done, server.url.removeprefix("http://"))
        assert f"HTTP {status}" in done.err

    def test_no_network_is_one_message_that_names_the_host_and_the_way_out(
        self, closed_port: int, exchange, liq, run_options, tmp_path: Path
    ) -> None:
        done = liq("run", *run_options(exchange, tmp_path / "data", archive=f"http://127.0.0.1:{closed_port}"))

        self._is_one_clear_message(done, f"127.0.0.1:{closed_port}")

    def test_what_is_already_there_is_told_and_stays(
        self, closed_port: int, exchange, own_run: Settings, liq, run_options, bytes_below
    ) -> None:
        before = bytes_below(own_run.published_dir)

        done = liq("run", *run_options(exchange, own_run.data_dir, archive=f"http://127.0.0.1:{closed_port}"))

        self._is_one_clear_message(done, f"127.0.0.1:{closed_port}")
        assert re.search(r"already .* BTCUSDT 20\.", done.err)
        assert bytes_below(own_run.published_dir) == before

    def test_an_answer_that_fails_once_is_asked_for_again(self, exchange, liq, run_options, tmp_path: Path) -> None:
        asked: set[str] = set()

        def once(path: str) -> Fault | None:
            if path in asked or ".zip" not in path:
                return None
            asked.add(path)
            return Fault(status=503) if len(asked) % 2 else Fault(truncate=True)

        with ArchiveServer(exchange.folder, faults=once) as server:
            done = liq("run", *run_options(exchange, tmp_path / "data", archive=server.url))

        assert done.code == 0, done.out + done.err
        assert "20 files fetched" in done.out
