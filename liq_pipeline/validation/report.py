"""Writes a validation: JSON with every figure, Markdown, an HTML page that needs nothing else, plots."""

from __future__ import annotations

import base64
import html
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liq_pipeline.system.storage import write_whole
from liq_pipeline.validation.run import Validation
from liq_pipeline.validation.words import class_name, markdown
from liq_pipeline.views.fonts import text_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #ccc;padding:.25em .6em;text-align:left;
font-variant-numeric:tabular-nums}th{background:#f3f3f3}img{max-width:100%}.fail{color:#b00}"""


DATA_NAME, TEXT_NAME, REPORT_NAME = "validation.json", "validation.md", "validation.html"
_PROBLEMS_NAME = "problems.json"


def report_folder(published: Path, symbol: str, source: str) -> Path:
    """Return where the report of a symbol against a source of truth is published."""
    return published / "validation" / symbol / source


def reports_of(published: Path, symbol: str) -> list[Path]:
    """Return the folders of the symbol's reports."""
    place = published / "validation" / symbol
    return sorted(path.parent for path in place.glob(f"*/{DATA_NAME}"))


def write_problems(published: Path, symbol: str, not_scored: dict[str, str], odd: list[str]) -> None:
    """Write down what is wrong with a symbol's truth since the last try, in place of what was; nothing: remove it.

    Args:
        published, symbol: where.
        not_scored: why, by the name of the source.
        odd: sentences about truth that may have been scored all the same.
    """
    place = published / "validation" / symbol / _PROBLEMS_NAME
    if not not_scored and not odd:
        place.unlink(missing_ok=True)
        return
    write_whole(place, json.dumps({"not_scored": not_scored, "odd": odd}, indent=2, ensure_ascii=False).encode())


def problems_of(published: Path, symbol: str) -> tuple[dict[str, str], list[str]]:
    """Return what `write_problems` wrote."""
    place = published / "validation" / symbol / _PROBLEMS_NAME
    content = json.loads(place.read_text(encoding="utf-8")) if place.exists() else {"not_scored": {}, "odd": []}
    return content["not_scored"], content["odd"]


def write_report(found: Validation, folder: Path) -> list[Path]:
    """Write `validation.json`, `validation.md`, `validation.html` and the plots; return their paths.

    Each file is replaced whole: a reader never sees a part of one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {name: _picture(draw, found) for name, draw in PLOTS.items()}
    text = markdown(found)
    with_pictures = text + "\n## Plots\n\n" + "\n\n".join(f"![{name}]({name}.png)" for name in pictures) + "\n"
    files: dict[str, bytes] = {
        DATA_NAME: (json.dumps(found.as_json(), indent=2, ensure_ascii=False) + "\n").encode(),
        TEXT_NAME: with_pictures.encode(),
        REPORT_NAME: page(text, pictures).encode(),
        **{f"{name}.png": data for name, data in pictures.items()},
    }
    for name, data in files.items():
        write_whole(folder / name, data)
    return [folder / name for name in files]


def page(text: str, pictures: dict[str, bytes]) -> str:
    """Return the Markdown of this package as one HTML page, pictures inside."""
    blocks = []
    for block in text.strip().split("\n\n"):
        lines = block.split("\n")
        if heading := re.fullmatch(r"(#+) (.*)", lines[0]):
            level = len(heading[1])
            blocks.append(f"<h{level}>{_inline(heading[2])}</h{level}>")
            lines = lines[1:]
        if not lines:
            continue
        if lines[0].startswith("|"):
            rows = [[_inline(cell.strip()) for cell in line[2:-2].split(" | ")] for line in lines]
            head = "".join(f"<th>{cell}</th>" for cell in rows[0])
            body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows[2:])
            blocks.append(f"<table><tr>{head}</tr>{body}</table>")
        elif lines[0].startswith("- "):
            blocks.append("<ul>" + "".join(f"<li>{_inline(line[2:])}</li>" for line in lines) + "</ul>")
        else:
            blocks.append(f"<p>{_inline(' '.join(lines))}</p>")
    for name, data in pictures.items():
        encoded = base64.b64encode(data).decode()
        blocks.append(
            f'<h3>{html.escape(name)}</h3><img alt="{html.escape(name)}" src="data:image/png;base64,{encoded}">'
        )
    title = html.escape(text.split("\n", 1)[0].lstrip("# "))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"</head><body>{''.join(blocks)}</body></html>\n"
    )


def _inline(text: str) -> str:
    text = html.escape(text)
    text = text.replace("**FAIL**", '<b class="fail">FAIL</b>')
    text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)
    return re.sub(r"\*(.+?)\*", r"<i>\1</i>", text)


def _picture(draw: Callable[[Validation, Axes], None], found: Validation) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    draw(found, figure.subplots())
    sink = io.BytesIO()
    canvas.print_png(sink)
    return sink.getvalue()


def _models(found: Validation, axes: Axes) -> None:
    flows = found.flows
    shown = {"adverse move": flows.move, "price + VWAP path": flows.path}
    shown |= {name: row.alone for name, row in flows.rows.items()}
    _bars(axes, shown)
    axes.set_xlabel("R² alone, out of sample, 95 % interval")
    title, style = text_style(f"{found.symbol}: estimated against reported liquidations")
    axes.set_title(title, **style)


def _gains(found: Validation, axes: Axes) -> None:
    shown: dict[str, Any] = {}
    for name, row in found.flows.rows.items():
        shown[f"{name}: + move"], shown[f"{name}: + path"] = row.gain_over_move, row.gain_over_path
    _bars(axes, shown)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("R² added, 95 % interval")


def _bars(axes: Axes, shown: dict[str, Any]) -> None:
    names, figures = list(shown), list(shown.values())
    values = [figure.value for figure in figures]
    errors = [
        [max(figure.value - figure.low, 0.0) for figure in figures],
        [max(figure.high - figure.value, 0.0) for figure in figures],
    ]
    axes.barh(names, values, xerr=errors, color=["#c44e52" if name.startswith("walk") else "#8c9db5" for name in names])
    axes.invert_yaxis()


def _reliability(found: Validation, axes: Axes) -> None:
    predicted = [row["predicted_log"] for row in found.reliability]
    reported = [row["reported_log"] for row in found.reliability]
    ends = [min(predicted + reported), max(predicted + reported)]
    axes.plot(ends, ends, color="grey", linewidth=0.8)
    axes.plot(predicted, reported, marker="o", color="#c44e52")
    axes.set_xlabel("predicted ln(1 + USD / 1000), mean of the decile")
    axes.set_ylabel("reported")


def _leverage(found: Validation, axes: Axes) -> None:
    names = [class_name(int(row["class"])) for row in found.leverage]
    axes.bar(names, [row["gain_over_move"] for row in found.leverage], color="#c44e52")
    axes.set_ylabel("R² added to the adverse move")


def _scale(found: Validation, axes: Axes) -> None:
    days = [row["day"] for row in found.scale.by_part]
    axes.plot(days, [row["rate"] for row in found.scale.by_part], marker="o", color="#c44e52", label="this part")
    axes.plot(days, [row["rate_of_past"] for row in found.scale.by_part], marker="s", color="#8c9db5", label="its past")
    axes.set_xlabel("day")
    axes.set_ylabel("reported / mapped USD")
    axes.legend()


PLOTS: dict[str, Callable[[Validation, Axes], None]] = {
    "models": _models,
    "gains": _gains,
    "reliability": _reliability,
    "leverage": _leverage,
    "scale": _scale,
}
