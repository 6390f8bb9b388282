"""Where a rule draws its line. (That each rule passes and fails at all: `test_planted_faults.py`.)"""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from liq_pipeline.published.layout import manifest_path
from liq_pipeline.transform.rules.contract import row_count_does_not_shrink, schema_is_as_published
from liq_pipeline.transform.rules.integrity import (
    delta_equals_recomputation,
    grid_has_no_gaps,
    klines_and_open_interest_join,
    labels_agree_with_klines,
)
from liq_pipeline.transform.rules.rule import ERROR, WARN, Severity, Subject


def test_one_odd_file_is_a_warning_not_an_alarm(subject: Subject) -> None:
    subject.tables.connection.execute(
        "UPDATE open_interest SET ts = ts - INTERVAL 5 MINUTE WHERE file_date = '2026-06-20'"
    )

    outcome = labels_agree_with_klines(subject)

    assert not outcome.passed
    assert outcome.severity is WARN
    assert "1 of 10 files" in outcome.found
    assert "2026-06-20" in outcome.found


def test_a_join_rate_of_exactly_99_percent_is_enough(subject: Subject) -> None:
    bars = subject.sql("SELECT count(*) AS n FROM klines")["n"][0].as_py() - 1  # the first bar closes at 00:05
    subject.tables.connection.execute(
        "DELETE FROM open_interest WHERE ts IN (SELECT ts FROM open_interest ORDER BY ts LIMIT $n OFFSET 100)",
        {"n": bars // 100},
    )

    outcome = klines_and_open_interest_join(subject)

    assert outcome.passed
    assert 0.99 <= outcome.facts["join_rate"] < 0.9905


def test_a_bad_print_counts_as_a_gap_of_the_grid(subject: Subject) -> None:
    subject.tables.connection.execute(
        "UPDATE open_interest SET open_interest = NULL WHERE ts = '2026-06-20 12:00:00+00'"
    )

    outcome = grid_has_no_gaps("open_interest")(subject)

    assert not outcome.passed
    assert outcome.facts["missing"] == 1


def test_of_many_gaps_the_first_twenty_are_listed(subject: Subject) -> None:
    subject.tables.connection.execute("DELETE FROM klines WHERE minute(ts) = 10 AND ts < '2026-06-19 06:00:00+00'")

    outcome = grid_has_no_gaps("klines")(subject)

    assert outcome.facts["gaps"] == 30
    assert outcome.found.endswith("and 10 more")


def test_a_first_delta_that_is_not_null_is_found(subject: Subject) -> None:
    subject.tables.connection.execute("UPDATE oi_delta SET oi_delta = 0 WHERE ts = (SELECT min(ts) FROM oi_delta)")

    outcome = delta_equals_recomputation(subject)

    assert not outcome.passed
    assert "first row not null" in outcome.found


def test_a_null_delta_in_the_middle_is_found(subject: Subject) -> None:
    subject.tables.connection.execute("UPDATE oi_delta SET oi_delta = NULL WHERE ts = '2026-06-20 12:00:00+00'")

    assert not delta_equals_recomputation(subject).passed


def test_spread_deltas_that_add_up_pass_the_recomputation(subject: Subject) -> None:
    subject.tables.connection.execute(
        "DELETE FROM open_interest WHERE ts BETWEEN '2026-06-20 12:00:00+00' AND '2026-06-20 13:00:00+00'"
    )

    assert delta_equals_recomputation(subject).passed


def test_a_shorter_history_than_published_is_the_users_choice(subject: Subject) -> None:
    subject.tables.connection.execute("DELETE FROM oi_delta WHERE ts < '2026-06-22'")

    assert row_count_does_not_shrink(subject).passed


def test_with_nothing_published_no_bar_can_have_vanished(subject: Subject) -> None:
    shutil.rmtree(subject.publisher.folder)

    outcome = row_count_does_not_shrink(subject)

    assert outcome.passed
    assert outcome.found == "nothing published yet to compare with"


def test_deleting_the_published_file_accepts_the_loss_as_the_message_says(subject: Subject) -> None:
    subject.tables.connection.execute("DELETE FROM oi_delta WHERE ts = '2026-06-20 12:00:00+00'")
    advice = row_count_does_not_shrink(subject).found.rsplit("delete ", 1)[1]

    Path(advice).unlink()

    assert row_count_does_not_shrink(subject).passed
    assert schema_is_as_published("oi_delta")(subject).passed


@pytest.mark.parametrize(("odd", "severity"), [(1, WARN), (4, WARN), (5, ERROR)])
def test_labels_that_are_odd_in_more_than_a_tenth_of_the_files_are_an_error(
    subject: Subject, odd: int, severity: Severity
) -> None:
    """Ten days as forty files of six hours; in some, each snapshot is named five minutes too early."""
    subject.tables.connection.execute(
        "UPDATE open_interest SET file_date = DATE '2026-01-01' "
        "+ (date_diff('minute', TIMESTAMPTZ '2026-06-18', ts) - 5)::INTEGER // 360"
    )
    subject.tables.connection.execute(
        "UPDATE open_interest SET ts = ts - INTERVAL 5 MINUTE WHERE file_date < DATE '2026-01-01' + $odd::INTEGER",
        {"odd": odd},
    )

    outcome = labels_agree_with_klines(subject)

    assert outcome.found.startswith(f"{odd} of 40 files carry labels that disagree with the klines: 2026-01-01: ")
    assert (outcome.passed, outcome.severity) == (False, severity)


def test_a_column_more_is_welcome(subject: Subject) -> None:
    subject.tables.connection.execute("ALTER TABLE liquidation_levels_7d ADD COLUMN more DOUBLE")

    assert schema_is_as_published("liquidation_levels_7d")(subject).passed


def test_a_published_file_with_a_column_that_the_contract_lost_is_found(subject: Subject) -> None:
    import pyarrow.parquet as pq

    path = Path(subject.publisher.folder) / "oi_delta" / "BTCUSDT" / "oi_delta.parquet"
    rows = pq.read_table(path, partitioning=None)
    pq.write_table(rows.append_column("forgotten", rows["volume"]), path)
    manifest = json.loads(manifest_path(path).read_text())
    manifest["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest_path(path).write_text(json.dumps(manifest))

    outcome = schema_is_as_published("oi_delta")(subject)

    assert not outcome.passed
    assert "forgotten is gone" in outcome.found


@pytest.mark.parametrize("place", ["oi_delta/BTCUSDT/oi_delta.parquet", "manifests/oi_delta/BTCUSDT/oi_delta.json"])
def test_a_published_file_that_was_damaged_does_not_stop_the_next(subject: Subject, place: str) -> None:
    (Path(subject.publisher.folder) / place).write_bytes(b"junk")

    assert schema_is_as_published("oi_delta")(subject).passed
    assert row_count_does_not_shrink(subject).passed
