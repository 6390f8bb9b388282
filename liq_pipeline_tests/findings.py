"""What a command printed for a check that did not pass."""

from __future__ import annotations

import re


def finding_in(out: str, asset: str, check: str, symbol: str = "BTCUSDT") -> str:
    """Return what was printed for a check that did not pass, in one line."""
    by_symbol = re.split(r"\n(?=\w+ (?:not )?published;|\n)", out)
    (section,) = [part for part in by_symbol if re.match(rf"{symbol} (not )?published;", part)]
    match = re.search(rf"^  (\w+) +{asset}: {check}\n((?: {{8}}.*\n)*)", f"{section}\n", re.MULTILINE)
    assert match, f"{check} of {asset} is not among the findings:\n{section}"
    return f"{match[1]} {' '.join(match[2].split())}"
