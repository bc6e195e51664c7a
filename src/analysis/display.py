"""Text, tables and figures of a notebook, for JupyterLab and for the PDF alike.

`show_text`, `show_table` and `show_figure` put into a cell's output what both readers need: HTML
or an image for the screen, and Markdown or an image with metadata for pandoc (see
`analysis.report`). `show_file` adds a table that is written beside the report. What can be
compared as text - captions, alternative texts, sources, every cell of a table - is in the output as
text, so that nbval tests it.

Once anything simulated has been read (`analysis.provenance.synthetic`), every table, figure and
file says so by itself.

Importing this module sets the look of all figures (``yearbook.mplstyle``).
"""

import html
import importlib.util
import io
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from IPython.display import display
from matplotlib import font_manager
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from analysis import provenance, sources

MISSING = "…"  # as in BPS tables: not available
AS_PUBLISHED = -1  # for decimals: as many as the number has
SYNTHETIC = "Synthetic data – not an estimate of real poverty."
FILE = "text/csv"  # the kind of what `show_file` gives
DPI = 200
WIDTH_INCHES = 6.3  # text width of the report: figures drawn this wide keep their font sizes

FONTS = Path(
    importlib.util.find_spec("font_source_sans_pro").submodule_search_locations[0], "files"
)
for _style in ("Regular", "It", "Semibold", "Bold"):
    font_manager.fontManager.addfont(FONTS / f"SourceSansPro-{_style}.ttf")
mpl.rcdefaults()  # not what a user's matplotlibrc says
mpl.style.use("analysis.yearbook")


def show_text(markdown: str) -> None:
    """Show computed text (Markdown). All numbers in the prose of a notebook come through here."""
    display({"text/markdown": markdown, "text/plain": markdown}, raw=True)


def show_figure(
    figure: Figure, *, caption: str, alt: str, label: str, source: Sequence[str], note: str = ""
) -> None:
    """Show a figure, with its source and vintage drawn on it.

    Parameters
    ----------
    figure
        The figure; it is closed afterwards.
    caption
        One sentence for the numbered caption in the report.
    alt
        What the figure says, for readers who cannot see it.
    label
        ``fig-...``; the text refers to it as ``@fig-...``.
    source
        Identifiers of records in sources.yml.
    note
        What a reader must know before quoting the figure; drawn above the source.

    Raises
    ------
    ValueError
        Caption or alternative text is empty, or the label does not begin with ``fig-``.
    """
    if not caption.strip() or not alt.strip() or not label.startswith("fig-"):
        raise ValueError(f"a figure needs a caption, an alt text and a label 'fig-...' ({label!r})")
    line = source_line(source)
    note = _marked(note)
    lines = [*_wrapped(note), *_wrapped(line)]
    if provenance.synthetic():
        figure.text(
            0.5, 1.01, SYNTHETIC.upper(), fontsize=8, fontweight="bold", color="#b3261e",
            ha="center", va="bottom",
        )  # fmt: skip
    figure.text(
        0.005, -0.01, "\n".join(lines), fontsize=6.8, color="0.35", va="top", linespacing=1.3
    )
    picture = png(figure)
    plt.close(figure)
    pixels = int.from_bytes(picture[16:20], "big")  # width in the header of a PNG
    share = min(1, pixels / DPI / WIDTH_INCHES)
    text = "\n".join([f"Figure: {caption}", f"Alt: {alt}", *filter(None, [note]), line])
    metadata = {"caption": caption, "alt": alt, "label": label, "width": f"{share:.1%}"}
    display(
        {"image/png": picture, "text/plain": text},
        metadata={"image/png": metadata},
        raw=True,
    )
    # JupyterLab shows the image alone: the caption follows as HTML, which the report leaves out.
    caption_html = f"<p><strong>Figure.</strong> {html.escape(caption)}</p>"
    display({"text/html": caption_html, "text/plain": f"Figure: {caption}"}, raw=True)


def png(figure: Figure) -> bytes:
    """The picture of a figure as reports have it: at `DPI`, with all that is drawn."""
    buffer = io.BytesIO()
    figure.savefig(
        buffer,
        format="png",
        dpi=DPI,
        bbox_inches=_whole_width(figure),
        metadata={"Software": None},
        pil_kwargs={"optimize": True},
    )
    return buffer.getvalue()


def show_table(
    table: pd.DataFrame,
    *,
    caption: str,
    label: str,
    source: Sequence[str],
    headers: Mapping[str, str] | None = None,
    decimals: Mapping[str, int] | None = None,
    note: str = "",
    widths: Sequence[float] | None = None,
    size_pt: float | None = None,
) -> None:
    """Show a table with numbered caption, source and vintage.

    Parameters
    ----------
    table
        What to show, in the order of its rows and columns; the index is left out.
    caption, label, source, note
        As for `show_figure`, the label ``tbl-...``.
    headers
        Words for the column names.
    decimals
        Decimal places per column, or `AS_PUBLISHED`; whole numbers (with thousands separators)
        without.
    widths
        Shares of the text width per column; without, columns are as wide as they need.
    size_pt
        Letter size in the report, for long or wide tables.
    """
    headers, decimals = headers or {}, decimals or {}
    columns = [headers.get(name, name) for name in table.columns]
    numeric = [pd.api.types.is_numeric_dtype(table[name]) for name in table.columns]
    cells = pd.DataFrame(
        {
            name: [written(value, decimals.get(name, 0)) for value in table[name]]
            if name != "year"  # a number without thousands separators
            else table[name].astype("str").to_list()
            for name in table.columns
        },
        dtype="str",
    )
    line, note = source_line(source), _marked(note)
    attributes = [f"#{label}"]
    if widths is not None:
        attributes.append(f'widths="{",".join(f"{width:g}" for width in widths)}"')
    if size_pt is not None:
        attributes.append(f"typst:text:size={size_pt}pt")
    rows = [columns, ["---:" if right else ":---" for right in numeric], *cells.values.tolist()]
    pipes = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    notes = "\n\n".join(f"::: source\n{text}\n:::" for text in filter(None, [note, line]))
    markdown = "\n".join([*pipes, "", f": {caption} {{{' '.join(attributes)}}}", "", notes])
    plain = "\n".join([f"Table: {caption}", cells.set_axis(columns, axis=1).to_string(index=False)])
    display(
        {
            "text/markdown": markdown,
            "text/html": _html_table(columns, cells, numeric, caption, [note, line]),
            "text/plain": "\n".join([plain, *filter(None, [note]), line]),
        },
        raw=True,
    )


def show_file(table: pd.DataFrame, *, name: str, source: Sequence[str]) -> None:
    """Give a table as a file: `analysis.report` writes it beside the PDF, as ``REPORT_name.csv``.

    Every row ends with the source, and begins with `SYNTHETIC` in a column ``note`` once anything
    simulated has been read: rows are copied without the file that they come from.

    Parameters
    ----------
    table
        What to write, in the order of its rows and columns; the index is left out.
    name
        Lower-case letters and digits.
    source
        As for `show_figure`.

    Raises
    ------
    ValueError
        The name is another, or the table has a column ``note`` or ``source``.
    """
    if not re.fullmatch("[a-z0-9]+", name) or {"note", "source"} & set(table.columns):
        raise ValueError(
            f"a file needs a name of letters and digits, and no column note or source ({name!r})"
        )
    whole = table.assign(source=source_line(source))
    if provenance.synthetic():
        whole.insert(0, "note", SYNTHETIC)
    words = f"{len(table):,} rows as a file, written beside this report: `…_{name}.csv`."
    display(
        {
            FILE: whole.to_csv(index=False, lineterminator="\n"),
            "text/markdown": words,
            "text/plain": words,
        },
        metadata={FILE: {"name": name}},
        raw=True,
    )


def written(value: object, decimals: int = 0) -> str:
    """A value as tables print it: ``1,234.50``, a true minus sign, `MISSING` if missing."""
    if pd.isna(value):
        return MISSING
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    as_published = f"{value:,}".removesuffix(".0")
    text = as_published if decimals == AS_PUBLISHED else f"{value:,.{decimals}f}"
    # A rounded zero has no sign.
    return text.lstrip("-") if not text.strip("-0.,") else text.replace("-", "−")


def source_line(source: Sequence[str]) -> str:
    """``Source: ... (accessed 23 November 2026).``, from the records of sources.yml.

    Without any, the files that a user has given to this run, by name; `ValueError` if none was.
    """
    if not source:
        # Only a file whose folder is nobody's business is recorded without one.
        own = [read["path"] for read in provenance.reads() if "/" not in read["path"]]
        if not own:
            raise ValueError("no source is named, and this run was given no file of a user")
        return f"Source: {', '.join(own)}, as given to this run."
    citations, accessed = sources.vintage(list(source))
    return f"Source: {citations} (accessed {accessed.day} {accessed:%B %Y})."


def _marked(note: str) -> str:
    """A note that begins by saying so if anything this process has read is simulated."""
    return " ".join(filter(None, [SYNTHETIC, note])) if provenance.synthetic() else note


def _whole_width(figure: Figure) -> Bbox:
    """All that is drawn, and never less than the figure's width: a tight box would change the
    size of the letters in the report."""
    figure.draw_without_rendering()  # the layout is settled only when drawn
    drawn = figure.get_tightbbox(figure.canvas.get_renderer())
    width, margin = figure.get_figwidth(), 0.03
    return Bbox.from_extents(
        min(0, drawn.x0), drawn.y0 - margin, max(width, drawn.x1), drawn.y1 + margin
    )


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, width=135)


def _html_table(
    columns: list[str],
    cells: pd.DataFrame,
    numeric: list[bool],
    caption: str,
    notes: Sequence[str],
) -> str:
    align = [f'style="text-align: {"right" if right else "left"}"' for right in numeric]
    head = "".join(f"<th {a}>{html.escape(c)}</th>" for a, c in zip(align, columns, strict=True))
    body = "\n".join(
        "<tr>"
        + "".join(f"<td {a}>{html.escape(c)}</td>" for a, c in zip(align, row, strict=True))
        + "</tr>"
        for row in cells.values.tolist()
    )
    foot = "".join(f"<p><small>{html.escape(text)}</small></p>" for text in notes if text)
    return (
        f"<table><caption>{html.escape(caption)}</caption><thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody></table>{foot}"
    )
