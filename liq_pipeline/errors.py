"""What can go wrong, as types. Every message says what was read, what was expected, and what to do."""

from __future__ import annotations

INTERRUPTED = 130
"""Exit code after Ctrl-C."""
INTERRUPTED_LINE = "Interrupted. What was published before stays; run again to go on."


class LiqError(Exception):
    """An error that a user can act on.

    Args:
        problem: what was read, and where.
        expected: what should have been there.
        remedy: what to do now.
    """

    def __init__(self, problem: str, *, expected: str = "", remedy: str = "") -> None:
        self.problem, self.expected, self.remedy = problem, expected, remedy
        parts = [problem, expected and f"Expected: {expected}", remedy and f"To do: {remedy}"]
        super().__init__(" ".join(part if part.endswith((".", "!", "?")) else f"{part}." for part in parts if part))

    def __reduce__(self) -> tuple[object, ...]:
        """Go from one process to another."""
        return _made_again, (type(self), self.problem, self.expected, self.remedy)


def _made_again(kind: type[LiqError], problem: str, expected: str, remedy: str) -> LiqError:
    return kind(problem, expected=expected, remedy=remedy)


class SettingsError(LiqError):
    """A setting or an option that cannot be used (exit code 2)."""


class ArchiveUnreachable(LiqError):
    """The archive did not answer: no network, a wrong address, or an outage. May be tried again later."""


class ArchiveForbidden(LiqError):
    """The archive answered 403 or 451: fenced or blocked. Trying again at once does not help."""


class RestUnreachable(LiqError):
    """The REST interface did not give an answer that can be used: no network, a time-out, an outage, broken JSON."""


class RestForbidden(LiqError):
    """The REST interface refuses for good: fenced (451), blocked (403), banned (418). Asking on makes it worse."""


class UnknownSymbol(LiqError):
    """The archive lists no file for this symbol."""


class ChecksumsMissing(LiqError):
    """An archive has zips but no sidecar with their checksums, so nothing tells a whole file from a damaged one."""


class FormatError(LiqError):
    """A file that does not hold what its name promises. It is quarantined; the rest goes on."""


class NoData(LiqError):
    """A symbol has nothing to work on after the good files were read."""


class WarehouseUnusable(LiqError):
    """The DuckDB file is damaged, or of a newer version."""


class WarehouseLocked(LiqError):
    """Another process holds the warehouse for longer than the lock time-out."""


class PublishedDamaged(LiqError):
    """A published file, or its manifest, is not what was published: cut off, overwritten, of wrong types."""


class NotPublished(LiqError):
    """There is no such published file. `similar`: published symbols that may have been meant."""

    similar: tuple[str, ...] = ()


class CheckFailed(LiqError):
    """A blocking check failed: nothing was changed and nothing is published."""


class NotChecked(LiqError):
    """Something was to be published that this run has not checked."""


class CalibrationUnclear(LiqError):
    """What REST's stamps mean cannot be measured: too few rows, or none that tell."""


class RecorderBusy(LiqError):
    """Another recorder already writes into this folder."""


class RecordingFailed(LiqError):
    """What was received cannot be written (disk full, no permission), and no more of it can be kept in memory."""


class SymbolBusy(LiqError):
    """A run works on this symbol."""


class StorageFailed(LiqError):
    """The disk refuses: full, read-only, no permission, a file where a folder should be."""


class ObjectsUnreachable(LiqError):
    """The object store (LIQ_STORAGE) does not answer: no network, an outage. May be tried again later."""


class ObjectsRefused(LiqError):
    """The object store refuses for good: no such bucket, no rights."""


class LateResult(LiqError):
    """Somebody else published the symbol since this work began: its result is refused, nothing was changed."""


class HistoryUnusable(LiqError):
    """Dagster's history is damaged."""


class OutOfMemory(LiqError):
    """DuckDB needs more memory than its limit allows."""
