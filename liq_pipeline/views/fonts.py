"""Which font can draw a text, and what is drawn where none can: symbols may be words of any script.

The pictures' usual font knows Latin, Greek, Cyrillic, Arabic and Hebrew. For a text beyond it, an installed font that
knows all of it is taken. Where there is none, what cannot be drawn is written as Python and JSON escape it (`\\u5e01`):
it can be looked up and pasted, which a box cannot. Terminals that cannot show a character get the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

_LIKED = ("notosanscjk-bold", "notosanscjk", "sourcehansans", "wqy", "msyh", "pingfang", "notosans", "sans")
_SIZE = 17


def text_style(text: str, weight: str = "normal", fonts: Sequence[str] | None = None) -> tuple[str, dict[str, Any]]:
    """Return a text that can be drawn without a missing glyph, and what `matplotlib` must be told to draw it.

    Args:
        text: what is to be drawn.
        weight: 'normal' or 'bold', where the usual font is used.
        fonts: font files to choose from; None for those that are installed.
    """
    from matplotlib.font_manager import FontProperties, findfont

    usual = findfont(FontProperties(weight=weight))
    plain = "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)
    style: dict[str, Any] = {"parse_math": False, "fontweight": weight}
    if not (unknown := [letter for letter in plain if not _draws(usual, letter)]):
        return plain, style
    for font in _installed() if fonts is None else fonts:
        if all(_draws(font, letter) for letter in plain):
            return plain, {**style, "fontproperties": FontProperties(fname=font)}
    return "".join(_escaped(letter) if letter in unknown else letter for letter in plain), style


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


@cache
def _installed() -> tuple[str, ...]:
    """Return installed font files, the liked ones first. matplotlib's own list misses what was installed later."""
    from matplotlib.font_manager import findSystemFonts

    def rank(file: str) -> tuple[int, str]:
        name = Path(file).name.lower()
        return next((number for number, liked in enumerate(_LIKED) if liked in name), len(_LIKED)), name

    return tuple(sorted(findSystemFonts(), key=rank))


@cache
def _draws(file: str, letter: str) -> bool:
    from matplotlib.font_manager import get_font

    try:
        font = get_font(file)
        if not font.get_char_index(ord(letter)):
            return False
        font.set_size(_SIZE, 100)
        font.load_char(ord(letter))
    except (OSError, RuntimeError, ValueError):  # a broken font, or one of bitmaps (colour emoji)
        return False
    return True
