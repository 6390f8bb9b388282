"""What a client wants, and all that its answer depends on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

from liq_pipeline.server.store import Edition

_VERSION = version("liq_pipeline")  # another version may write the same data in another way


@dataclass(frozen=True)
class Asked:
    """What a client wants.

    Attributes:
        datasets: files that the answer is made of.
        symbol, timeframe, kind: which; and the format.
        moment: the current instant in steps; answers in JSON, and those of the page, tell the data's age.
        more: what else the body depends on.
    """

    datasets: tuple[str, ...]
    symbol: str
    timeframe: str
    moment: datetime
    kind: str
    more: tuple[str, ...] = ()

    @property
    def is_heavy(self) -> bool:
        """Whether it takes long to make, and much memory."""
        return bool({"liquidation_heatmap", "positions"} & set(self.datasets))

    def key(self, edition: Edition) -> tuple[str, ...]:
        """Return all that the body depends on."""
        step = f"{self.moment.timestamp():.0f}" if self.kind in ("json", "packed") else ""
        digests = (part.digest for part in edition)
        return (_VERSION, *self.datasets, *digests, self.symbol, self.timeframe, self.kind, step, *self.more)
