"""Every text can be drawn: in a font that knows it, or escaped. Never a box, never a warning."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from liq_pipeline.views.fonts import text_style

CHINESE = "币安人生USDT"


@pytest.fixture
def chinese_font(tmp_path: Path) -> Path:
    """A real font, of squares, that knows the letters of one symbol and nothing else."""
    pen = TTGlyphPen(None)
    for point, draw in (((100, 0), pen.moveTo), ((900, 0), pen.lineTo), ((900, 800), pen.lineTo)):
        draw(point)
    pen.closePath()
    letters = {ord(letter): f"u{ord(letter):x}" for letter in CHINESE}
    names = [".notdef", *letters.values()]
    font = FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder(names)
    font.setupCharacterMap(letters)
    font.setupGlyf(dict.fromkeys(names, pen.glyph()))
    font.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": "Squares", "styleName": "Regular"})
    font.setupOS2()
    font.setupPost()
    folder = tmp_path / "fonts"
    folder.mkdir()
    font.save(folder / "squares.ttf")
    return folder / "squares.ttf"


@pytest.mark.parametrize("text", ["BTCUSDT", "ΑΒΓUSDT", "РубльUSDT", "مرحباUSDT", "שלוםUSDT", "50 · 1 % ≤ $x_$"])
def test_what_the_usual_font_knows_is_drawn_as_it_is(text: str) -> None:
    assert text_style(text, "bold", fonts=()) == (text, {"parse_math": False, "fontweight": "bold"})


def test_what_it_does_not_know_is_drawn_in_a_font_that_knows_all_of_the_text(chinese_font: Path) -> None:
    shown, style = text_style(CHINESE, fonts=[str(chinese_font.with_name("absent.ttf")), str(chinese_font)])

    assert shown == CHINESE
    assert style["fontproperties"].get_file() == str(chinese_font)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (CHINESE, r"\u5e01\u5b89\u4eba\u751fUSDT"),
        ("币X7d", r"\u5e01X7d"),  # the font knows no 7: one font draws all of it, or none
        ("\U0002a6a5USDT", r"\U0002a6a5USDT"),
        ("\udc80USDT", r"\udc80USDT"),
        ("a\nb\tc", r"a\nb\tc"),
    ],
)
def test_where_no_font_knows_it_only_what_cannot_be_drawn_is_escaped(text, shown, chinese_font) -> None:
    fonts = [] if text == CHINESE else [str(chinese_font)]

    assert text_style(text, fonts=fonts)[0] == shown


def test_a_font_that_was_installed_is_found(chinese_font: Path, child_env) -> None:
    code = f"from liq_pipeline.views.fonts import text_style; print(ascii(text_style({CHINESE!r})[0]))"

    done = subprocess.run(
        [sys.executable, "-c", code], env=child_env(XDG_DATA_HOME=str(chinese_font.parents[1])),
        capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip

    assert done.stdout.strip() == ascii(CHINESE)
