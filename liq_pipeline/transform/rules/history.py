"""Does the past, as the model sees it now, agree with what was published then?"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from liq_pipeline.errors import NoData
from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.model.walk import model_version
from liq_pipeline.published.layout import HISTORY, dataset_path
from liq_pipeline.published.manifests import read_intact_manifest
from liq_pipeline.published.past import past_of
from liq_pipeline.transform.positions import published_positions
from liq_pipeline.transform.rules.rule import WARN, Outcome, Rule, Subject
from liq_pipeline.warehouse.schema import LEVEL_TABLES, named_query

MOST_PCT = 1.0  # of the exposure of a side and timeframe


def past_agrees_with_what_was_published(subject: Subject) -> Outcome:
    """The newest entry before today is what the model sees of that instant now, to 1 %; else why it may not be."""
    place = dataset_path(Path(subject.publisher.folder), HISTORY, subject.symbol, "*").parent
    today = f"{subject.newest['as_of']:%Y-%m-%d}"
    days = sorted(path.stem for path in place.glob("*.parquet"))
    if not days:
        return Outcome(True, "no entry yet to compare with", WARN)
    day = ([day for day in days if day < today] or days)[-1]
    path = place / f"{day}.parquet"
    manifest = read_intact_manifest(path)
    if manifest is None:
        told = f"the entry of {day} is not what was published. To do: bring {path} back from a backup, or delete it"
        return Outcome(False, told, WARN)
    past = past_of(published_positions(subject.sql(named_query("positions"))))
    as_of = datetime.fromisoformat(manifest["as_of"])
    try:
        now = past.levels_at(as_of)
    except NoData:
        return Outcome(True, f"the entry of {day} is older than the data that is loaded", WARN)
    then = pq.read_table(path, partitioning=None)
    most, where = 0.0, ""
    for timeframe in TIMEFRAMES:
        for side in ("long", "short"):
            before, after = _total(then, timeframe, side), _total(now[timeframe], timeframe, side)
            off = 100 * abs(after / before - 1) if before else (100.0 if after else 0.0)
            if off >= most:
                most, where = off, f"{timeframe} {side}: {before:,.0f} USD then, {after:,.0f} now"
    text = f"{manifest['as_of']}: at most {most:.4f} % apart ({where})"
    reasons = _reasons(subject, manifest, as_of)
    return Outcome(most <= MOST_PCT, text + (f"; {reasons}" if reasons else ""), WARN, {"largest_difference_pct": most})


def _total(rows: pa.Table, timeframe: str, side: str) -> float:
    some = rows.filter(pc.and_(pc.equal(rows["timeframe"], timeframe), pc.equal(rows["side"], side)))
    return float(np.sum(some["notional_usd"].to_numpy(), dtype=np.float64))


def _reasons(subject: Subject, manifest: dict[str, object], as_of: datetime) -> str:
    """Say what is known to differ between then and now."""
    model = manifest.get("model")
    spread = subject.sql(
        "SELECT count(*) AS n FROM oi_delta WHERE symbol = $symbol AND is_interpolated AND ts <= $as_of "
        "AND ts > $as_of - INTERVAL 1 DAY",
        as_of=as_of,
    )["n"][0].as_py()
    found = []
    if isinstance(model, dict) and model.get("version") != model_version():
        found.append(f"model {model.get('version')} then, {model_version()} now")
    if manifest.get("code_version") != subject.publisher.code_version:
        found.append(f"code {manifest.get('code_version')} then, {subject.publisher.code_version} now")
    if spread:
        found.append(f"{spread} bars of the day before were spread over a gap since")
    return ", ".join(found)


def history_rules() -> list[Rule]:
    """Return what the history of published levels must hold."""
    return [
        Rule(
            LEVEL_TABLES[-1],
            "past_agrees_with_what_was_published",
            past_agrees_with_what_was_published,
            "The levels that the model sees now at yesterday's instant are those that were published then, to 1 %.",
            every_bar=False,
        )
    ]
