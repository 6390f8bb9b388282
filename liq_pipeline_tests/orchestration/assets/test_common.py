"""What every asset shows: previews, shares, where its SQL lies, and its progress now and then."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import dagster as dg
import pyarrow as pa
import pytest

from liq_pipeline.orchestration.assets import common


def test_lines_that_come_sooner_than_five_seconds_after_one_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now, said = [100.0], []
    monkeypatch.setattr(common, "time", SimpleNamespace(monotonic=lambda: now[0]))
    tell = common.now_and_then(said.append)
    for now[0] in (100.0, 101.0, 104.9, 105.0, 106.0, 109.9, 110.0, 170.0, 171.0):
        tell(f"at {now[0]:g}")

    assert said == ["at 105", "at 110", "at 170"]


def test_a_preview_is_the_first_rows_with_what_is_no_number_as_text() -> None:
    moment = datetime(2026, 6, 1, tzinfo=UTC)
    rows = pa.table({"n": [1, 2, 3, 4, 5, 6], "x": [0.5, None, 1.5, 2.0, 2.5, 3.0], "ts": [moment] * 6})

    shown = common.preview(rows)
    assert isinstance(shown, dg.TableMetadataValue)
    assert [record.data for record in shown.records] == [
        {"n": n, "x": x, "ts": "2026-06-01 00:00:00+00:00"}
        for n, x in ((1, 0.5), (2, None), (3, 1.5), (4, 2.0), (5, 2.5))
    ]
    assert common.preview(rows.slice(0, 0)).value == "no rows"


@pytest.mark.parametrize(
    ("value", "shown"), [("text", "text"), (True, True), (7, 7), (0.5, 0.5), (None, None), ([1], "[1]")]
)
def test_a_value_that_a_table_can_show_stays_what_it_is(value: object, shown: object) -> None:
    assert common._plain(value) == shown
    assert type(common._plain(value)) is type(shown)


def test_a_share_is_told_in_percent_with_three_digits() -> None:
    assert common.share_pct(2, 3) == 66.667
    assert common.share_pct(0, 3) == 0
    assert common.share_pct(3, 0) == 0


@pytest.mark.parametrize(
    ("table", "files"),
    [
        ("liquidation_levels_7d", ["liquidation_levels.sql"]),
        ("liquidation_features", ["liquidation_features.sql"]),
        ("oi_delta", ["oi_delta.sql", "queries/oi_delta.sql"]),
        ("open_interest", ["open_interest.sql"]),
    ],
)
def test_a_table_names_the_sql_that_makes_it(table: str, files: list[str]) -> None:
    references = common.table_metadata(table)["dagster/code_references"].code_references

    assert [one.file_path.split("/sql/")[1] for one in references] == files


def test_a_run_is_tagged_with_its_newest_bar_or_the_first_and_last_of_several() -> None:
    told: list[dict[str, str]] = []
    context = SimpleNamespace(
        run=SimpleNamespace(run_id="x"), instance=SimpleNamespace(add_run_tags=lambda _, tags: told.append(tags))
    )
    first, middle, last = (datetime(2026, 6, day, tzinfo=UTC) for day in (1, 2, 3))

    common.tag_run(context, middle, last, first)  # type: ignore[arg-type]
    common.tag_run(context, middle)  # type: ignore[arg-type]

    assert [tags["liq/as_of"] for tags in told] == [
        "2026-06-01T00:00:00Z..2026-06-03T00:00:00Z",
        "2026-06-02T00:00:00Z",
    ]
