"""Which symbols the settings name: as they stand there, or what `all`, `top:50` and patterns stood for the last time.

Here nobody is asked; `exchange.universe` asks the archive.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from liq_pipeline.errors import SettingsError
from liq_pipeline.setting_forms import is_selector, top_of
from liq_pipeline.settings import Settings
from liq_pipeline.system.storage import write_whole

FILE = "universe.json"


def has_selectors(settings: Settings) -> bool:
    """Tell whether any of the symbols stands for others."""
    return any(is_selector(symbol) for symbol in settings.symbols)


def known(settings: Settings) -> tuple[str, ...] | None:
    """Return the symbols: as named, or as selected the last time; None if that never was."""
    if not has_selectors(settings):
        return settings.symbols
    asked, symbols = remembered(settings.data_dir)
    return symbols if asked == settings.symbols else None


def named(settings: Settings) -> Settings:
    """Return settings that name each symbol, as `known`.

    Raises:
        SettingsError: nothing was selected yet.
    """
    symbols = known(settings)
    if symbols is None:
        raise SettingsError(
            f"symbols {', '.join(settings.symbols)}: which they are is not known yet",
            remedy="`liq run` with the same symbols comes first, or name each symbol",
        )
    return with_symbols(settings, symbols)


def named_among(settings: Settings, published: Sequence[str]) -> tuple[str, ...]:
    """Return the symbols that are named, selectors taken among those that are published.

    Raises:
        SettingsError: `top:N`, which published files cannot tell; a selector that fits none.
    """
    found: dict[str, None] = {}
    for text in settings.symbols:
        if top_of(text):
            raise SettingsError(f"{text}: turnover is not published", expected="all, a pattern such as 1000*, or names")
        fits = [one for one in published if text == "all" or fnmatchcase(one, text)] if is_selector(text) else [text]
        if not fits:
            raise SettingsError(
                f"{text} stands for none of the {len(published)} published symbols", remedy="see liq status"
            )
        found |= dict.fromkeys(fits)
    return tuple(found)


def with_symbols(settings: Settings, symbols: Sequence[str]) -> Settings:
    """Return the same settings for these symbols."""
    return settings.model_copy(update={"symbols": tuple(symbols)})


def refreshed(settings: Settings, published: Iterable[str]) -> tuple[str, ...] | None:
    """Return the symbols that runs refresh, given what is published; None where that cannot be known.

    Somebody who names symbols with `liq run --symbols` only, and never sets LIQ_SYMBOLS, has none of its defaults.
    """
    if "symbols" not in settings.model_fields_set and not set(published) & set(settings.symbols):
        return None
    symbols = known(settings)
    if symbols is None and not any(map(top_of, settings.symbols)):  # names tell whether they fit
        return tuple(
            one for one in published if any(text == "all" or fnmatchcase(one, text) for text in settings.symbols)
        )
    return symbols


def remember(data_dir: Path, asked: Sequence[str], symbols: Sequence[str]) -> None:
    """Keep what selectors stood for."""
    content = json.dumps({"asked": asked, "symbols": symbols}, ensure_ascii=False, indent=1) + "\n"
    write_whole(data_dir / FILE, content.encode())


def remembered(data_dir: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what was asked the last time, and what it stood for; empty if nothing sound is kept."""
    try:
        found = json.loads((data_dir / FILE).read_bytes())
        asked, symbols = (tuple(str(item) for item in found[name]) for name in ("asked", "symbols"))
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return (), ()
    return asked, symbols
