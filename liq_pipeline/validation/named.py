"""Whose liquidations a file named in `LIQ_TRUTH` reports."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class NamedTruth:
    """Files of reported liquidations as settings name them.

    Attributes:
        items: `SYMBOL=file`, or a file whose name begins with the symbol.
        symbols: that are refreshed, at least one.
    """

    items: tuple[str, ...]
    symbols: tuple[str, ...]

    def files_of(self, symbol: str) -> list[Path]:
        """Return the files of a symbol, in the order given."""
        return [path for item in self.items for owner, path in [self._of(item, symbol)] if owner == symbol]

    def problems_of(self, symbol: str) -> list[str]:
        """Return what is odd about how files are named; what no symbol uses is told with the first symbol."""
        problems = []
        for item in self.items:
            owner, path = self._of(item)
            if owner not in self.symbols and symbol == self.symbols[0]:
                whose = f"of {owner}, which is not in LIQ_SYMBOLS" if owner else "of no symbol in LIQ_SYMBOLS"
                problems.append(f"LIQ_TRUTH={item}: not scored: it is {whose} ({', '.join(self.symbols)})")
            named = re.match(r"[^\W_]+(?:USDT|USDC)(?![^\W_])", path.name.upper())
            if owner == symbol and named and not path.name.upper().startswith(symbol):
                problems.append(f"LIQ_TRUTH={item}: the name of the file says {named[0]}, and not {symbol}")
        return problems

    def _of(self, item: str, *more: str) -> tuple[str, Path]:
        """Return the symbol that an item is of, empty if none of ours, and its file."""
        name, given, path = (part.strip() for part in item.partition("="))
        if given and name.replace("_", "").isalnum():  # a slash before the "=" belongs to a path
            return name.upper(), Path(path)
        owners = [symbol for symbol in (*self.symbols, *more) if Path(item).name.upper().startswith(symbol)]
        return max(owners, key=len, default=""), Path(item)
