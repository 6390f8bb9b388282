"""What people see in a terminal: progress while work is done, tables when it is done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from liq_pipeline.published.manifests import margin_note

if TYPE_CHECKING:
    from liq_pipeline.orchestration.results import SymbolResult
    from liq_pipeline.validation.run import Validation

_PLAIN_WIDTH = 150
_SECONDS_BETWEEN_LINES = 5.0


def make_console() -> Console:
    """Return a console that draws on a terminal and writes plain lines elsewhere.

    Text is printed as it is: brackets in a path are no markup. Who wants colours says so (`style`, `Text`).
    """
    plain: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
    console = Console(**plain)
    return console if console.is_terminal else Console(**plain, width=_PLAIN_WIDTH)


class TerminalReporter:
    """Bars on a terminal: files, bytes, rate, time left."""

    def __init__(self, progress: RichProgress) -> None:
        self.progress = progress

    def track(self, label: str) -> _Bar:
        """Return a bar for one piece of work."""
        return _Bar(self.progress, label)

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self.progress.console.print(line, soft_wrap=True)


class _Bar:
    def __init__(self, progress: RichProgress, label: str) -> None:
        self.progress, self.label = progress, label
        self.task: TaskID | None = None

    def start(self, total_files: int, total_bytes: int) -> None:
        self.task = self.progress.add_task(self.label, total=total_bytes, files=0, total_files=total_files)

    def advance(self, files: int = 1, bytes: int = 0) -> None:
        assert self.task is not None
        done = self.progress.tasks[self.progress.task_ids.index(self.task)].fields["files"] + files
        self.progress.update(self.task, advance=bytes, files=done)

    def finish(self) -> None:
        """The bar stays, full."""


class PlainReporter:
    """One line when work starts, one every few seconds, one when it ends."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def track(self, label: str) -> _Lines:
        """Return who writes the lines for one piece of work."""
        return _Lines(self.console, label)

    def say(self, line: str) -> None:
        """Print a line."""
        self.console.print(line, soft_wrap=True)


class _Lines:
    def __init__(self, console: Console, label: str) -> None:
        self.console, self.label = console, label
        self.files = self.bytes = self.total_files = self.total_bytes = 0
        self.started = self.told = 0.0

    def start(self, total_files: int, total_bytes: int) -> None:
        self.total_files, self.total_bytes = total_files, total_bytes
        self.started = self.told = time.monotonic()
        self.console.print(f"{self.label}: {total_files} files to fetch, {total_bytes / 1e6:.1f} MB")

    def advance(self, files: int = 1, bytes: int = 0) -> None:
        self.files, self.bytes = self.files + files, self.bytes + bytes
        now = time.monotonic()
        if now - self.told >= _SECONDS_BETWEEN_LINES:
            self.told = now
            rate = self.bytes / (now - self.started)
            left = (self.total_bytes - self.bytes) / rate if rate else 0.0
            self.console.print(
                f"{self.label}: {self.files}/{self.total_files} files, {self.bytes / 1e6:.1f} MB, "
                f"{rate / 1e6:.2f} MB/s, {left:.0f} s left"
            )

    def finish(self) -> None:
        if self.files:
            seconds = max(time.monotonic() - self.started, 1e-9)
            self.console.print(
                f"{self.label}: {self.files} files, {self.bytes / 1e6:.1f} MB in {seconds:.1f} s "
                f"({self.files / seconds:.0f} files/s)"
            )


@contextmanager
def reporter(console: Console) -> Iterator[TerminalReporter | PlainReporter]:
    """Yield who tells about progress on this console."""
    if not console.is_terminal:
        yield PlainReporter(console)
        return
    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(),
        TextColumn("{task.fields[files]}/{task.fields[total_files]} files"),
        DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with RichProgress(*columns, console=console) as progress:
        yield TerminalReporter(progress)


def print_result(console: Console, result: SymbolResult) -> None:
    """Print what the checks found for a symbol."""
    state = "published" if result.published else "not published"
    counts = f"{result.checks_passed} checks passed, {len(result.findings)} did not"
    console.print()
    console.print(Text.assemble((result.symbol, "bold"), f" {state}; {result.fetched} files fetched, {counts}"))
    for finding in result.findings:
        colour = "red" if finding.severity == "ERROR" else "yellow"
        console.print(Text.assemble("  ", (f"{finding.severity:5}", colour), f" {finding.asset}: {finding.check}"))
        for line in finding.text.splitlines():
            console.print(f"        {line}", soft_wrap=True)
    for error in result.errors:
        console.print(Text.assemble("  ", ("ERROR", "red"), f" {error}"), soft_wrap=True)


def print_levels(console: Console, symbol: str, manifests: dict[str, dict[str, Any]]) -> None:
    """Print a symbol's published totals, per timeframe and side."""
    if not manifests:
        return
    newest = next(iter(manifests.values()))
    label = f" ({newest['source_label'].upper()} DATA)" if newest["source_label"] else ""
    title = f"{symbol}{label}: estimated liquidation levels as of {newest['as_of']}"
    console.print(f"\n{title}, price {newest['current_price']:,.10g} USD", style="bold", soft_wrap=True)
    caption = f"open interest {newest['open_interest_contracts']:,.0f} contracts; exposure, not a forecast"
    if note := margin_note(newest):
        caption += f"\n{note}"
    if (checksums := newest.get("checksums", "verified")) != "verified":
        caption += f"\nCHECKSUMS {checksums}"
    table = Table(caption=caption, caption_justify="left")
    for heading in ("timeframe", "levels", "long USD", "short USD", "long % of OI", "short % of OI", "data covers"):
        table.add_column(heading, justify="right", no_wrap=True)
    for timeframe, manifest in manifests.items():
        open_interest = manifest["open_interest_contracts"]
        table.add_row(
            timeframe,
            str(manifest["row_count"]),
            f"{manifest['long_notional_usd']:,.0f}",
            f"{manifest['short_notional_usd']:,.0f}",
            f"{100 * manifest['long_contracts'] / open_interest:.2f}",
            f"{100 * manifest['short_contracts'] / open_interest:.2f}",
            f"{manifest['coverage_pct']:.0f} %",
        )
    console.print(table)


def print_where(console: Console, published: Path) -> None:
    """Print where the files are, and how to read them."""
    console.print(f"\nFiles: {published}", soft_wrap=True)
    console.print(f"Read them: duckdb.sql(\"FROM '{published}/liquidation_levels/*/*.parquet'\")", soft_wrap=True)


def print_validation(console: Console, found: Validation, folder: Path | None) -> None:
    """Print the gates, and each model beside the baselines."""
    from liq_pipeline.validation.run import text

    for note in found.notes:
        console.print(f"  {note}", soft_wrap=True)
    title = f"\n{found.symbol}: the estimated map against reported liquidations"
    steps = f", {found.facts['steps']} steps of {found.flows.step_minutes:g} minutes"
    console.print(Text.assemble((title, "bold"), steps), soft_wrap=True)
    flows = found.flows
    models = Table()
    for heading in ("model", "R² alone", "Spearman", "added to the move", "added to the path"):
        models.add_column(heading, no_wrap=True)
    models.add_row("adverse move", text(flows.move), text(flows.move_rho))
    models.add_row("price + VWAP path", text(flows.path), text(flows.path_rho))
    for scores in (flows, *([found.wide_bars] if found.wide_bars else [])):
        for name, row in scores.rows.items():
            if scores is flows or name != "walk":
                models.add_row(name, text(row.alone), text(row.rho), text(row.gain_over_move), text(row.gain_over_path))
    console.print(models)
    if found.boosted:
        said = f"{text(found.boosted.alone)} alone, {text(found.boosted.gain)} added by the map"
        console.print(f"Gradient boosting on {found.boosted.features} features of price and volume: R² {said}")
    if found.if_reached:
        from liq_pipeline.validation.words import IF_REACHED_HEADS, if_reached_row

        reached = Table(title="If reached: estimated USD on the way to a price, given that it is reached")
        for heading in IF_REACHED_HEADS:
            reached.add_column(heading)
        for one in found.if_reached:
            reached.add_row(*if_reached_row(one))
        console.print(reached)
        for note in dict.fromkeys(one.note for one in found.if_reached if one.note):
            console.print(f"  {note}", soft_wrap=True)
    for gate in found.gates:
        state = ("pass", "green") if gate.passed else ("FAIL", "red")
        said = f" {gate.statement}: {gate.found}"
        console.print(Text.assemble(f"gate {gate.number} ", state, said), soft_wrap=True)
    if folder:
        console.print(f"\nReport: {folder / 'validation.html'}", soft_wrap=True)
