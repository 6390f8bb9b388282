"""What the commands share: the application, options, exit codes, lines to the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from liq_pipeline.system.interrupts import is_interrupt, leave

OK, DATA_LOST, WRONG_USAGE, STALE = 0, 1, 2, 3


class _Commands(TyperGroup):
    """The commands; Ctrl-C ends each with one line, while its options are read, too."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with _interruptible():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        with _interruptible():
            return super().invoke(ctx)


@contextmanager
def _interruptible() -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, RuntimeError) as error:
        if not is_interrupt(error):
            raise
        leave()


app = typer.Typer(
    cls=_Commands,
    help="The open liquidation map: estimated liquidation levels for crypto perpetuals.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

alerts = typer.Typer(help="Alerts, sent where LIQ_ALERT_URLS says.", no_args_is_help=True)
app.add_typer(alerts, name="alerts")

brackets = typer.Typer(help="Margin brackets: what is known of a symbol's, and newer ones.", no_args_is_help=True)
app.add_typer(brackets, name="brackets")

Symbols = Annotated[str | None, typer.Option("--symbols", help="Perpetuals, comma-separated (LIQ_SYMBOLS).")]
Bar = Annotated[str | None, typer.Option("--bar", help="Width of a bar: 5m or 15m (LIQ_BAR).")]
Since = Annotated[str | None, typer.Option("--since", help="First day to load, YYYY-MM-DD (LIQ_SINCE).")]
Jobs = Annotated[int | None, typer.Option("--jobs", help="Symbols worked on at once; default: the cores (LIQ_JOBS).")]
NoPictures = Annotated[bool, typer.Option("--no-pictures", help="Draw no pictures and pages (LIQ_PICTURES).")]
Archive = Annotated[str | None, typer.Option("--archive", help="URL or folder of the archive (LIQ_ARCHIVE).")]
NoChecksums = Annotated[
    bool,
    typer.Option("--no-checksums", help="Take a folder's files though no .CHECKSUM lies beside (LIQ_NO_CHECKSUMS)."),
]
Data = Annotated[Path | None, typer.Option("--data", help="Folder for everything that is made (LIQ_DATA_DIR).")]
Now = Annotated[str | None, typer.Option("--now", help="ISO instant that stands for now (LIQ_NOW).")]
Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="Port of the page.")]


def say(text: str) -> None:
    """Print a line as it is. (`typer.echo` writes UTF-8 to terminals that say they are ASCII.)"""
    from liq_pipeline.cli.console import make_console

    make_console().print(text, soft_wrap=True)
