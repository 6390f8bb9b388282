"""Several machines on one bucket: what one made, another goes on with, and readers anywhere read."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from liq_pipeline import client
from liq_pipeline.errors import ObjectsUnreachable, SettingsError
from liq_pipeline.exchange.brackets import FILE
from liq_pipeline.exchange.kept import KeptRaw, fetch_shared
from liq_pipeline.exchange.keys import METRICS, klines
from liq_pipeline.orchestration.history import dagster_instance
from liq_pipeline.orchestration.lease import lease
from liq_pipeline.orchestration.refresh import refresh
from liq_pipeline.published.local import kept_up, up_to_date
from liq_pipeline.published.status import read_status
from liq_pipeline.settings import Settings, load_settings
from liq_pipeline_tests.cluster.bucket import Bucket
from liq_pipeline_tests.conftest import Finished, MakeSettings

pytestmark = pytest.mark.whole_run

BytesBelow = Callable[[Path], dict[str, bytes]]


def visible(folder: Path) -> dict[str, bytes]:
    """Return what readers see."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def machine(make_settings: MakeSettings, bucket: Bucket, folder: Path, **others: Any) -> Settings:
    """Return settings of a machine with a folder of its own."""
    return make_settings(data_dir=folder, storage=bucket.address, pictures=False, **others)


@pytest.mark.slow
def test_a_second_machine_fetches_nothing_from_the_exchange_and_publishes_the_same(
    bucket: Bucket, make_settings: MakeSettings, tmp_path: Path
) -> None:
    (alone,) = refresh(make_settings(data_dir=tmp_path / "alone", pictures=False))
    (first,) = refresh(machine(make_settings, bucket, tmp_path / "a"))
    (second,) = refresh(machine(make_settings, bucket, tmp_path / "b"))

    assert alone.published
    assert first.published
    assert second.published
    assert first.fetched == alone.fetched > 0
    assert second.fetched == 0
    reader = up_to_date(machine(make_settings, bucket, tmp_path / "reader"))
    assert visible(reader) == visible(tmp_path / "alone" / "published")


@pytest.fixture
def on_bucket(
    bucket: Bucket, own_run: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Settings]:
    """Put a good run's published files into a bucket; return settings of another machine, which has nothing yet."""
    from liq_pipeline.published.publish import Publisher

    publisher = Publisher(folder=str(own_run.published_dir), storage=bucket.address)
    publisher.editions.commit("BTCUSDT", {})  # type: ignore[union-attr]
    monkeypatch.setenv("LIQ_STORAGE", bucket.address)
    monkeypatch.setenv("LIQ_DATA_DIR", str(tmp_path / "reader"))
    return lambda: load_settings(now=own_run.now)


def test_the_client_reads_the_bucket(on_bucket: Callable[[], Settings], own_run: Settings) -> None:
    assert client.symbols() == ["BTCUSDT"]
    there = client.liquidation_levels("BTCUSDT", "7d")
    assert there.equals(client.liquidation_levels("BTCUSDT", "7d", folder=own_run.published_dir))
    past = client.liquidation_levels("BTCUSDT", "7d", at="2026-06-25T12:00Z")
    assert past.equals(client.liquidation_levels("BTCUSDT", "7d", at="2026-06-25T12:00Z", folder=own_run.published_dir))


def test_status_and_at_tell_of_the_bucket(
    on_bucket: Callable[[], Settings], own_run: Settings, liq: Callable[..., Finished], bucket: Bucket
) -> None:
    told = liq("status", "--now", "2026-06-28T06:00Z", "--json")
    assert bucket.address in told.out
    assert read_status(own_run.published_dir, own_run.now)["BTCUSDT"]["as_of"] in told.out  # type: ignore[arg-type]
    assert "BTCUSDT" in liq("at", "2026-06-25T12:00Z").out


def test_the_service_goes_on_with_new_editions(
    on_bucket: Callable[[], Settings], own_run: Settings, bucket: Bucket
) -> None:
    from liq_pipeline.published.publish import Publisher
    from liq_pipeline.server.store import Store

    with kept_up(on_bucket(), every_seconds=0.2) as folder:
        store = Store(folder.absolute())
        wait_for(lambda: bool(store.manifests("BTCUSDT")[0]) and not store.manifests("BTCUSDT")[1])
        before = store.read(("liquidation_levels",), "BTCUSDT", "7d")[0].digest
        writer = Publisher(folder=str(own_run.published_dir), storage=bucket.address)
        manifest = own_run.published_dir / "manifests" / "liquidation_levels" / "BTCUSDT" / "7d.json"
        changed = manifest.read_bytes().replace(b'"source_label": ""', b'"source_label": "another"')
        with writer.following("BTCUSDT"):
            writer.editions.commit("BTCUSDT", {manifest: changed})  # type: ignore[union-attr]
        wait_for(lambda: store.read(("liquidation_levels",), "BTCUSDT", "7d")[0].digest != before)


def test_a_reader_says_that_the_bucket_is_away_and_keeps_what_it_has(
    on_bucket: Callable[[], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("liq_pipeline.published.local.READERS_WAIT_SECONDS", 0.5)
    settings = on_bucket()
    up_to_date(settings)
    before = visible(settings.published_dir)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    from liq_pipeline.system.objects import objects_at

    objects_at.cache_clear()
    with pytest.raises(ObjectsUnreachable):
        up_to_date(settings)
    objects_at.cache_clear()
    assert visible(settings.published_dir) == before


def test_raw_files_go_to_another_machine_and_only_what_changed_is_moved(
    bucket: Bucket, good_run: Settings, tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    shutil.copytree(good_run.raw_dir, here)
    datasets = (METRICS, klines("5m"))
    one, two = (KeptRaw(bucket.objects(), folder, datasets) for folder in (here, there))
    stored = one.store("BTCUSDT")

    assert stored > 10
    assert one.store("BTCUSDT") == 0
    assert two.fetch("BTCUSDT") == stored
    assert two.fetch("BTCUSDT") == 0
    names = {path.relative_to(there) for path in there.rglob("*.zip")} | {*there.glob("manifest/*/*.parquet")}
    assert names
    assert all((here / name).read_bytes() == (there / name).read_bytes() for name in names)

    changed = next(there.glob("manifest/symbol=BTCUSDT/*.parquet"))
    changed.write_bytes(changed.read_bytes() + b" ")
    assert (two.store("BTCUSDT"), one.fetch("BTCUSDT")) == (1, 1)


def test_imported_brackets_go_to_another_machine(
    bucket: Bucket, liq: Callable[..., Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIQ_STORAGE", bucket.address)
    for number, symbol in enumerate(("NEWUSDT", "OTHERUSDT")):  # each on a machine that has nothing yet
        row = {"bracket": 1, "initialLeverage": 60, "notionalCap": 5000, "notionalFloor": 0, "maintMarginRatio": 0.01}
        (tmp_path / "tiers.json").write_text(json.dumps([{"symbol": symbol, "brackets": [row]}]))
        done = liq("brackets", "import", tmp_path / "tiers.json", "--data", tmp_path / str(number))
        assert done.code == 0, done.err
    fetch_shared(bucket.objects(), tmp_path / "there")

    kept = (tmp_path / "there" / FILE).read_text()
    assert kept == (tmp_path / "1" / "raw" / FILE).read_text()
    assert [line.split(",")[0] for line in kept.splitlines()[1:]] == ["NEWUSDT", "OTHERUSDT"]


def test_without_imported_brackets_nothing_is_brought(bucket: Bucket, tmp_path: Path) -> None:
    fetch_shared(bucket.objects(), tmp_path / "raw")

    assert not (tmp_path / "raw").exists()


def test_a_listing_cannot_write_beside_a_symbols_files(bucket: Bucket, tmp_path: Path) -> None:
    objects = bucket.objects()
    for name in ("brackets.csv", "manifest/symbol=ETHUSDT/metrics.parquet", "elsewhere/x", "rest/symbol=BTCUSDT/.x"):
        objects.put(f"raw/BTCUSDT/{name}", b"x")

    assert KeptRaw(objects, tmp_path / "raw", (METRICS,)).fetch("BTCUSDT") == 0
    assert not (tmp_path / "raw").exists()


def test_a_symbol_that_another_run_holds_is_waited_for_and_then_named(
    bucket: Bucket, make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = machine(make_settings, bucket, tmp_path / "a", lock_timeout_seconds=1)
    with dagster_instance(settings.home) as instance, lease(instance, "another-run", "BTCUSDT", 1):
        (result,) = refresh(settings)

    assert not result.published
    assert "run another-run works on BTCUSDT" in " ".join(result.errors)


def test_a_bucket_without_a_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    with pytest.raises(SettingsError, match="has no key"):
        load_settings(storage="s3://bucket/prefix")


@pytest.mark.parametrize("text", ["bucket", "s3://", "s3://B", "gs://bucket", "s3://bucket/../x", "s3://bucket/a b"])
def test_what_names_no_bucket_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    with pytest.raises(SettingsError, match=r"storage|STORAGE"):
        load_settings(storage=text)


def wait_for(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
