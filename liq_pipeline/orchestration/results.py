"""What became of a symbol in a run. It loads no Dagster: whoever has workers run, needs none."""

from __future__ import annotations

from dataclasses import dataclass, field

from liq_pipeline.transform.rules.plausibility import PLAUSIBLE

NO_FILE_WAS_LOST = "no_file_was_lost"
LOSSES = {NO_FILE_WAS_LOST, *PLAUSIBLE.values()}  # checks that tell of lost data


@dataclass(frozen=True)
class Finding:
    """A check that did not pass."""

    asset: str
    check: str
    severity: str
    text: str


@dataclass
class SymbolResult:
    """What became of one symbol.

    Attributes:
        symbol: which.
        published: whether its files were published in this run.
        fetched: files fetched.
        errors: what stopped it, in words.
        findings: checks that did not pass.
        checks_passed: how many did.
    """

    symbol: str
    published: bool = False
    fetched: int = 0
    errors: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    checks_passed: int = 0

    @property
    def lost_data(self) -> bool:
        """Whether the symbol could not be published, or a part of its data was lost."""
        return (
            not self.published
            or bool(self.errors)
            or any(finding.check in LOSSES and finding.severity == "ERROR" for finding in self.findings)
        )

    @property
    def has_error_findings(self) -> bool:
        """Whether a check failed with severity ERROR."""
        return any(finding.severity == "ERROR" for finding in self.findings)
