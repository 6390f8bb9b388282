"""What is missing, cut short or altered among the published files is found; what is whole raises no alarm."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.published.damage import published_files
from liq_pipeline.published.layout import dataset_path, manifest_path, view_folder
from liq_pipeline.published.publish import Publisher, Views
from liq_pipeline_tests.conftest import MadeOnce
from liq_pipeline_tests.server.small import AS_OF, HURT, datasets_of, deltas_of, publish_small, small_copy


@pytest.fixture
def whole(tmp_path: Path, made_once: MadeOnce) -> Path:
    """A published folder with everything."""
    folder = small_copy(tmp_path / "published", made_once)
    files = {"map.png": b"picture", "levels.csv": b"csv"}
    views = [Views(HURT, timeframe, files, {"as_of": AS_OF.isoformat()}) for timeframe in TIMEFRAMES]
    Publisher(folder=str(folder)).publish_views(views, {})
    return folder


def said(folder: Path) -> list[str]:
    return [error.problem for error in published_files(folder, HURT).damage.values()]


def test_what_is_whole_raises_no_alarm(whole: Path) -> None:
    files = published_files(whole, HURT)

    assert not files.damage
    assert len(files.manifests) == 4 * 4 + 2  # levels, heatmaps, candles, views; oi_delta and positions


def test_what_was_never_published_is_not_missed(tmp_path: Path) -> None:
    """Only levels: pictures and heatmaps are steps of their own."""
    levels = [datasets_of(HURT, timeframe)[0] for timeframe in TIMEFRAMES]
    Publisher(folder=str(tmp_path)).publish([*levels, deltas_of(HURT)])

    assert said(tmp_path) == []


def test_levels_alone_may_be_carried_elsewhere(whole: Path, tmp_path: Path) -> None:
    for part in ("liquidation_levels", "manifests/liquidation_levels"):
        shutil.copytree(whole / part, tmp_path / "elsewhere" / part)

    assert said(tmp_path / "elsewhere") == []


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def _alter(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _manifest_of(path: Path) -> Path:
    return manifest_path(path if path.suffix == ".parquet" else path.parent)


def _delete_all(path: Path) -> None:
    _manifest_of(path).unlink()
    path.unlink() if path.suffix == ".parquet" else shutil.rmtree(path.parent)


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut short": (_cut, "is not what was published: {file} was cut short or altered"),
    "one bit altered": (_alter, "is not what was published: {file} was cut short or altered"),
    "emptied": (lambda path: path.write_bytes(b""), "is not what was published: {file} was cut short or altered"),
    "deleted": (Path.unlink, "lacks {file}"),
    "manifest deleted": (lambda path: _manifest_of(path).unlink(), "has no manifest"),
    "deleted with its manifest": (_delete_all, "is missing"),
}
PLACES = {
    "liquidation_levels": "7d", "liquidation_heatmap": "90d", "candles": "1d", "oi_delta": "", "positions": "",
    "views": "30d",
}  # fmt: skip


@pytest.mark.parametrize("dataset", PLACES)
@pytest.mark.parametrize(("plant", "what"), FAULTS.values(), ids=FAULTS)
def test_each_fault_is_found_in_each_dataset_and_the_next_publish_mends_it(
    whole: Path, dataset: str, plant: Callable[[Path], None], what: str
) -> None:
    timeframe = PLACES[dataset]
    path = dataset_path(whole, dataset, HURT, timeframe or None)
    path = view_folder(whole, HURT, timeframe) / "map.png" if dataset == "views" else path
    assert said(whole) == []  # looked at before: what is kept of it must not hide the fault

    plant(path)

    place = " ".join(filter(None, (dataset, HURT, timeframe)))
    assert said(whole) == [f"{place} {what.format(file=path.name)}"]
    publish_small(whole)
    files = {"map.png": b"picture", "levels.csv": b"csv"}
    Publisher(folder=str(whole)).publish_views(
        [Views(HURT, timeframe, files, {"as_of": AS_OF.isoformat()}) for timeframe in TIMEFRAMES], {}
    )
    assert said(whole) == []


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b'{"sha256": {"map.png": 5}}', b'{"sha256": "x"}'])
@pytest.mark.parametrize("dataset", ["views", "oi_delta"])
def test_a_manifest_that_is_none_of_ours_is_damage(whole: Path, dataset: str, content: bytes) -> None:
    manifest_path(dataset_path(whole, dataset, HURT, PLACES[dataset] or None)).write_bytes(content)

    (found,) = said(whole)
    assert found.startswith("the manifest of ")


def test_the_manifest_of_a_damaged_file_is_still_read(whole: Path) -> None:
    _cut(dataset_path(whole, "liquidation_levels", HURT, "7d"))

    manifests, damage = published_files(whole, HURT).levels(("current_price",))
    assert list(manifests) == list(TIMEFRAMES)
    assert list(damage) == [("liquidation_levels", "7d")]


def test_levels_that_lack_a_field_are_damaged(whole: Path) -> None:
    path = manifest_path(dataset_path(whole, "liquidation_levels", HURT, "7d"))
    content = json.loads(path.read_text())
    del content["current_price"]
    path.write_text(json.dumps(content))

    manifests, damage = published_files(whole, HURT).levels(("current_price",))
    assert list(manifests) == ["1d", "30d", "90d"]
    assert "current_price missing" in str(damage["liquidation_levels", "7d"])
