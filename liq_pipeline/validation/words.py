"""What a validation says, in words and tables: Markdown, for the report, the terminal and the Dagster UI."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from liq_pipeline.model.ablations import MAIN
from liq_pipeline.model.boosted import BoostedScores
from liq_pipeline.model.bracket_evidence import BracketTest
from liq_pipeline.model.exposure import CLASS_EDGES
from liq_pipeline.model.if_reached import HORIZON_HOURS
from liq_pipeline.model.price_levels import PriceLevelScore
from liq_pipeline.model.scoring import Estimate
from liq_pipeline.model.scoring_flows import FlowScores
from liq_pipeline.model.scoring_if_reached import IfReachedScore
from liq_pipeline.model.scoring_levels import LevelScores
from liq_pipeline.validation.brackets import said_of
from liq_pipeline.validation.claims import claims
from liq_pipeline.validation.run import Validation, text

__all__ = ["class_name", "flow_table", "gate_table", "if_reached_row", "markdown", "table", "text"]


def gate_table(found: Validation) -> str:
    """Return the gates as a Markdown table."""
    return table(
        ("#", "gate", "", "found"),
        [(gate.number, gate.statement, "pass" if gate.passed else "**FAIL**", gate.found) for gate in found.gates],
    )


def markdown(found: Validation) -> str:
    """Return the whole report."""
    facts = found.facts
    parts = [
        f"# {found.symbol}: the map against reported liquidations",
        f"Source of truth: {found.source or 'a file'}. {facts['steps']} steps of {found.flows.step_minutes:g} minutes, "
        f"{facts['first_step'][:16]} to {facts['last_step'][:16]} UTC; bars of {facts['bar_minutes']:g} minutes; open "
        f"interest every {facts['open_interest_step_minutes']:g} minutes; churn γ = "
        f"{found.parameters['churn_per_turnover']:g}. "
        "Everything is *estimated*; intervals are 95 %, by circular blocks of three days; predictions come from the "
        "other four of five contiguous folds, a day of purge between.",
        "## Gates",
        gate_table(found),
        "## Claims",
        claims(found),
        "## Flows: ln(1 + USD / 1000) per step and side, out of sample",
        flow_table(found.flows),
        "*Alone*: five numbers of the exposure in the bar's range. *+ move*, *+ path*: R² added to the adverse move, "
        "and to price and VWAP path.",
        *_boosted(found.boosted),
        "### The walk against each, paired",
        table(
            ("difference", "R²", "Spearman"),
            [(name, text(r2), text(rho)) for name, (r2, rho) in found.flows.against.items()],
        ),
    ]
    if found.wide_bars:
        parts += [
            f"### Ablation: 60-minute bars (steps of {found.wide_bars.step_minutes:g} minutes)",
            flow_table(found.wide_bars),
        ]
    return "\n\n".join([*parts, *_details(found)]) + "\n"


def _details(found: Validation) -> list[str]:
    return [
        "### Controls",
        table(
            ("truth", "walk alone R²", "added to the move"),
            [
                ("made by the model, with noise", *_alone_and_gain(found.flow_control)),
                ("reported, days exchanged", *_alone_and_gain(found.shuffled_truth)),
                *((f"reported, ln(1 + USD / {unit})", *_alone_and_gain(flows))
                  for unit, flows in found.other_units.items()),
            ],
        ),
        "### Reliability: by decile of the prediction",
        table(
            ("decile", "predicted ln", "reported ln", "reported USD, mean", "mapped USD, mean"),
            [
                (int(row["decile"]), f"{row['predicted_log']:.2f}", f"{row['reported_log']:.2f}",
                 f"{row['reported_usd_mean']:,.0f}", f"{row['mapped_usd_mean']:,.0f}")
                for row in found.reliability
            ],
        ),
        "### Where skill sits",
        table(
            ("leverage", "R² alone", "added to the move"),
            [(class_name(int(row["class"])), f"{row['r2_alone']:.3f}", f"{row['gain_over_move']:+.3f}")
             for row in found.leverage],
        ),
        "## Levels: reached bins of 0.1 %",
        *(_levels(f"{hours} h, reported", one) for hours, one in found.levels.items()),
        *(_levels(f"{hours} h, positive control", one) for hours, one in found.level_control.items()),
        *_brackets(found.brackets),
        *_price_levels(found.price_levels),
        "## If reached",
        *_if_reached(found.if_reached),
        "## Scale",
        f"Reported = {found.scale.rate:.4f} × mapped ({1 / found.scale.rate:,.0f} times as much is mapped). "
        f"A rate fitted on the past misses the next part by a factor of {found.scale.typical_miss:.2f} (median). "
        "Not applied to maps." if found.scale.rate > 0 else "Nothing was mapped or reported.",
        table(
            ("from day", "rate", "rate of the past", "predicted / reported"),
            [tuple(f"{row[name]:.4g}" for name in ("day", "rate", "rate_of_past", "predicted_over_reported"))
             for row in found.scale.by_part],
        ),
        "## Read from the files",
        "\n".join(f"- {note}" for note in found.notes),
    ]  # fmt: skip


def flow_table(flows: FlowScores) -> str:
    """Return each model beside the baselines."""
    rows: list[Sequence[object]] = [
        ("adverse move", text(flows.move), text(flows.move_rho), "", ""),
        ("price + VWAP path", text(flows.path), text(flows.path_rho), "", ""),
    ]
    for name, row in flows.rows.items():
        label = f"**{name}**" if name == MAIN else name
        rows.append((label, text(row.alone), text(row.rho), text(row.gain_over_move), text(row.gain_over_path)))
    return table(("model", "R² alone", "Spearman alone", "+ move", "+ path"), rows)


def class_name(number: int) -> str:
    """Return a leverage class in words."""
    if number == 0:
        return f"up to {CLASS_EDGES[0]:g}x"
    low = f"{CLASS_EDGES[number - 1]:g}x"
    return f"above {low}" if number == len(CLASS_EDGES) else f"{low} to {CLASS_EDGES[number]:g}x"


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [" | ".join(map(str, heads)), " | ".join("---" for _ in heads)]
    lines += [" | ".join(str(cell).replace("|", "/") for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _alone_and_gain(flows: FlowScores) -> tuple[str, str]:
    row = flows.rows[MAIN]
    return text(row.alone), text(row.gain_over_move)


IF_REACHED_HEADS = ("within", "targets reached", "in the 80 % range", "wildest days", "CRPS against distance only",
                    "yesterday's map", "a constant rate", "range")  # fmt: skip


def if_reached_row(one: IfReachedScore) -> tuple[str, ...]:
    """Return the figures of a horizon, as `IF_REACHED_HEADS`."""
    gains = (one.crps_gain_over_distance, one.crps_gain_over_yesterday, one.crps_gain_over_constant_rate)
    return (
        f"{one.horizon_hours} h", f"{one.cases}", text(one.coverage_80_interval),
        f"{one.coverage_80_wildest_days:.3f}", *map(text, gains), f"×{one.width_80:.0f}",
    )  # fmt: skip


def _boosted(scores: BoostedScores | None) -> list[str]:
    """Say how the map stands beside a flexible learner; the words follow the numbers."""
    if scores is None:
        return []
    gain = scores.gain
    adds = "adds" if gain.low > 0 else "takes away" if gain.high < 0 else "adds nothing beyond chance:"
    told = [
        f"Beside gradient boosting on {scores.features} features of price and volume, the map {adds} R² {text(gain)}: "
        f"{text(scores.alone)} alone, {text(scores.with_map)} with the map's five numbers, which have "
        f"{text(scores.map_alone)} by themselves. Both sides learn together."
    ]
    rows = [
        (f"{days} days", text(one["boosted"]), text(one["map"]), text(one["map - boosted"]))
        for days, one in scores.past.items()
    ]
    for days, one in scores.past.items():
        if one["map - boosted"].low > 0:
            told.append(f"Trained on the past {days} days only, the map's five numbers do better than the learner.")
    return [
        "### The honest baseline: gradient boosting",
        " ".join(told),
        *([table(("trained on the past", "boosted", "five map numbers", "difference"), rows)] if rows else []),
    ]


def _if_reached(scores: Sequence[IfReachedScore]) -> list[str]:
    if not scores:
        return ["Too few targets were reached in what is known, or too few days are: nothing is scored."]
    told = (
        "Reported USD from now until the price first reaches a target, given that it does so in time: 10 %, 50 % and "
        f"90 % quantile, each day fitted on the days before, from day {scores[0].scored_from_day:g} on. Share by which "
        "the CRPS is better (positive) than distance alone, than yesterday's map at equal distances, than a constant "
        "share of what is mapped."
    )
    distances = sorted({by.distance_pct for one in scores for by in one.by_distance})
    cells = {(one.horizon_hours, by.distance_pct): by for one in scores for by in one.by_distance}
    hours = [one.horizon_hours for one in scores]
    rows = []
    for distance in distances:
        found = [cells.get((one, distance)) for one in hours]
        rows.append((f"{distance:g} %", *(f"{by.coverage_80:.2f}, {by.crps_gain_over_distance:+.3f} ({by.cases})"
                                          if by else "" for by in found)))  # fmt: skip
    lacking = [f"{one} h" for one in HORIZON_HOURS if one not in {score.horizon_hours for score in scores}]
    return [
        told,
        *([f"Too few targets were reached to score {', '.join(lacking)}."] if lacking else []),
        *(note for note in dict.fromkeys(one.note for one in scores) if note),
        table(IF_REACHED_HEADS, [if_reached_row(one) for one in scores]),
        "By distance of the target: share in the 80 % range, gain over distance only (cases):",
        table(("target", *(f"{one} h" for one in hours)), rows),
    ]


def _brackets(test: BracketTest | None) -> list[str]:
    """Say whether forced orders speak for the maintenance margin that was used."""
    if test is None:
        return []
    verdict = "They agree with the table." if test.table_is_within else "**They speak against the table.**"
    return [
        "## Margin brackets, tested by forced orders",
        f"{said_of(test)[:1].upper()}{said_of(test)[1:]}. {verdict}",
        table(("maintenance margin", "triggers in their own bar"),
              [(f"{rate:g} %", f"{share:.1%}") for rate, share in test.shares]),
    ]  # fmt: skip


def _price_levels(one: PriceLevelScore | None) -> list[str]:
    """Say whether forced orders fall on mapped levels more often than elsewhere in their bar; words by the numbers."""
    if one is None:
        return []
    more = "more often than" if one.gain.low > 0 else "less often than" if one.gain.high < 0 else "no more often than"
    return [
        "## Forced orders on mapped levels",
        f"{one.orders} orders fell on mapped levels {more} on the levels of the day before at equal distances: AUC "
        f"{text(one.gain)} ({one.auc.value:.3f} against {one.auc_of_another_time.value:.3f}), within the range of "
        "their own bar.",
    ]


def _levels(title: str, one: LevelScores | None) -> str:
    if one is None:
        return f"### {title}\n\nToo few days with enough reached bins."

    def cells(figures: dict[str, Estimate], name: str) -> str:
        return text(figures[name])

    rows = [(name, cells(one.auc, name), cells(one.rank, name), cells(one.lift, name)) for name in one.auc]
    rows.append(("map minus another day's", text(one.auc_gain), text(one.rank_gain), ""))
    return f"### {title} ({one.cases} cases)\n\n" + table(("ranking", "AUC", "Spearman", "top-decile lift"), rows)
