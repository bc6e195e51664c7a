import json
import re

import nbformat
import pytest

from analysis import display, provenance, report, runner

FIGURE = """
from matplotlib import pyplot as plt
from analysis import display
figure, axes = plt.subplots(figsize=(6.3, 2))
axes.plot([1, 2])
display.show_figure(figure, caption="A *line* of 50 %", alt="It \\"rises\\".", label="fig-a", source=["release_dates"])
"""
TABLE = """
import pandas as pd
from analysis import display
table = pd.DataFrame({"kelurahan": ["Menteng #1", "P. Pari_x"], "rate": [1234.5, None]})
display.show_table(table, caption="Rates", label="tbl-a", source=["release_dates"], decimals={"rate": 1})
"""
TEXT = """
from analysis import display, sources
sources.read("release_dates")
display.show_text("> **Answer.** See @fig-a and @tbl-a [@gadm41].")
"""
# Images that did not come through show_figure.
PLAIN_IMAGE = """
from IPython.display import Image, display
from pathlib import Path
import matplotlib
png = Path(matplotlib.get_data_path(), "images", "matplotlib.png").read_bytes()
display(Image(png))
"""
EMPTY_ALT = PLAIN_IMAGE.replace(
    "display(Image(png))",
    "display({'image/png': png}, metadata={'image/png': dict(caption='c', alt='', label='fig-b')}, raw=True)",
)


@pytest.fixture
def executed(tmp_path):
    """Executes a notebook of the given cells and returns its path."""

    def write(*cells, title="# A title\n\nWhat is the question?"):
        book = nbformat.v4.new_notebook()
        book.cells.append(nbformat.v4.new_markdown_cell(title, id="t"))
        book.cells += [nbformat.v4.new_code_cell(cell, id=f"c{i}") for i, cell in enumerate(cells)]
        nbformat.write(book, tmp_path / "source.ipynb")
        runner.run(tmp_path / "source.ipynb", tmp_path / "executed.ipynb", progress=False)
        return tmp_path / "executed.ipynb"

    return write


@pytest.fixture
def typst_source(monkeypatch):
    """What pandoc gave to Typst."""
    seen = []
    compile_ = report._compile
    monkeypatch.setattr(
        report, "_compile", lambda text, *rest: (seen.append(text), compile_(text, *rest))
    )
    return seen


def test_a_short_table_stays_on_its_page_and_a_long_one_does_not(executed, typst_source, tmp_path):
    long = TABLE.replace("display.show_table(table,", "display.show_table(pd.concat([table] * 9),")
    text = TEXT.replace("fig-a", "tbl-b")
    path = executed(text, FIGURE, TABLE, long.replace("tbl-a", "tbl-b"))
    report.build(path, tmp_path / "report.pdf")
    kept = typst_source[0].split("#block(breakable: false")[1:]
    assert ["<tbl-a>" in part and "<tbl-b>" not in part.split("\n]\n")[0] for part in kept] == [
        True
    ]


def test_a_notebook_becomes_a_tagged_pdf(executed, typst_source, tmp_path):
    path = executed(
        TEXT, FIGURE, TABLE, "print('noise')\nimport sys; print('more', file=sys.stderr)"
    )
    output = tmp_path / "report.pdf"
    report.build(path, output)
    pdf = output.read_bytes()
    assert pdf.startswith(b"%PDF-")
    assert b"<pdfuaid:part>1</pdfuaid:part>" in pdf  # the claim to PDF/UA-1
    (typst,) = typst_source
    assert "A title" in typst and "What is the question?" in typst
    assert 'alt: "It \\"rises\\"."' in typst and "#emph[line]" in typst
    assert "#ref(<fig-a>)" in typst and "#ref(<tbl-a>)" in typst and "<tbl-a>" in typst
    assert "#source[" in typst and "1,234.5" in typst
    assert "noise" not in typst and "more" not in typst and "pyplot" not in typst
    assert "Database of Global Administrative Areas" in typst  # the reference was resolved


def test_the_last_page_holds_parameters_version_and_checksums(executed, typst_source, tmp_path):
    path = executed(TEXT, FIGURE, TABLE)
    book = json.loads(path.read_text())
    book["metadata"][provenance.RECORD]["parameters"] = {"region_code": "31"}
    path.write_text(json.dumps(book))
    report.build(path, tmp_path / "report.pdf")
    last = typst_source[0].split("How this report was made")[-1]
    assert "region_code" in last and "'31'" in last
    assert "data/raw/bps/release_dates.csv" in last
    assert book["metadata"][provenance.RECORD]["reads"][0]["sha256"][:16] in last


def test_the_date_is_that_of_the_newest_source(monkeypatch):
    from datetime import date
    from types import SimpleNamespace

    dates = {"a": date(2026, 1, 1), "b": date(2026, 11, 23), "c": date(2025, 1, 1)}
    monkeypatch.setattr(report.sources, "record", lambda i: SimpleNamespace(date_accessed=dates[i]))
    assert report._dated(["a", "b", "c"])["date"] == "23 November 2026"
    assert report._dated([]) == {}


def test_the_same_notebook_gives_the_same_bytes(executed, tmp_path):
    path = executed(TEXT, FIGURE, TABLE)
    for name in ("a.pdf", "b.pdf"):
        report.build(path, tmp_path / name)
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_a_report_of_the_users_file_alone_names_it_and_no_date(executed, typst_source, tmp_path):
    (tmp_path / "mine.csv").write_text("a\n1\n")
    path = executed(
        "from analysis import display, provenance\nimport pandas as pd\n"
        f"provenance.record(__import__('pathlib').Path({str(tmp_path / 'mine.csv')!r}), name='mine.csv')\n"
        "display.show_table(pd.DataFrame({'a': [1]}), caption='A', label='tbl-a', source=['mine.csv'])"
    )
    report.build(path, tmp_path / "report.pdf")
    (typst,) = typst_source
    assert "own file mine.csv" in typst and "ccessed" not in typst
    assert "date: none" in typst


def test_the_first_page_as_a_picture(executed, tmp_path):
    report.build(executed(TEXT, FIGURE, TABLE), tmp_path / "first.png")
    assert (tmp_path / "first.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ([TEXT, FIGURE, TABLE, PLAIN_IMAGE], "figure has no caption"),
        ([TEXT, FIGURE, TABLE, EMPTY_ALT], "figure has no alt"),
        ([TEXT, FIGURE, TABLE.replace("tbl-a", "tbl-b")], "tbl-a"),
        ([TEXT.replace("@gadm41", "@nobody"), FIGURE, TABLE], "nobody"),
        (["1 + 1"], "has read no source"),
    ],
)
def test_what_cannot_be_made_is_refused_and_the_earlier_report_stays(
    executed, tmp_path, cells, told
):
    output = tmp_path / "report.pdf"
    output.write_bytes(b"earlier")
    with pytest.raises(report.ReportError, match=told) as error:
        report.build(executed(*cells), output)
    assert "\n" not in str(error.value)
    assert output.read_bytes() == b"earlier"
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".report")]


def test_typst_itself_refuses_an_image_without_alt(tmp_path, executed, monkeypatch):
    """The second line of defence: PDF/UA-1."""
    path = executed(TEXT, FIGURE, TABLE)
    to_typst = report._to_typst
    monkeypatch.setattr(
        report, "_to_typst", lambda *args: re.sub(r'alt: "[^,]*",', "", to_typst(*args))
    )
    with pytest.raises(report.ReportError, match="PDF/UA-1"):
        report.build(path, tmp_path / "report.pdf")


def test_notebooks_that_were_not_run_or_have_no_title(executed, tmp_path, capsys):
    path = executed(TEXT, FIGURE, TABLE, title="No heading")
    with pytest.raises(report.ReportError, match="must begin with '# Title'"):
        report.build(path, tmp_path / "r.pdf")
    with pytest.raises(report.ReportError, match=r"was not executed by analysis\.runner"):
        report.build(tmp_path / "source.ipynb", tmp_path / "r.pdf")
    assert report.main([str(tmp_path / "none.ipynb"), "r.pdf"]) == 1
    assert capsys.readouterr().err.strip().endswith("is missing: run 'make reports'")
    assert report.main([]) == 2


def test_a_report_on_simulated_data_has_a_band_on_every_page(executed, typst_source, tmp_path):
    report.build(executed(TEXT, FIGURE, TABLE), tmp_path / "real.pdf")
    simulated = TEXT + "sources.read('sae_area')\n"
    report.build(executed(simulated, FIGURE, TABLE), tmp_path / "simulated.pdf")
    real, marked = typst_source
    band = r"background: place\(top.*Synthetic data – not an estimate of real poverty"
    assert re.search(band, marked, re.DOTALL) and "Synthetic data" not in real
    # The band, and the table's note (pandoc writes a dash as two hyphens).
    assert len(re.findall("Synthetic data (–|--) not an estimate", marked)) == 2


FILE = """
import pandas as pd
from analysis import display, provenance
provenance.record(sources.verified("release_dates"), ["release_dates"], synthetic=True)
table = pd.DataFrame({"kelurahan": ["Menteng", "Évo"], "rate": [1234.5, None]})
display.show_file(table, name="rates", source=["release_dates"])
"""


def test_a_file_of_a_notebook_is_written_beside_the_pdf_with_its_mark(executed, tmp_path):
    path = executed("from analysis import sources", FILE)
    report.build(path, tmp_path / "reports" / "a.pdf")
    report.build(path, tmp_path / "pictures" / "a.png")
    assert [f.name for f in (tmp_path / "pictures").iterdir()] == ["a.png"]
    assert {f.name for f in (tmp_path / "reports").iterdir()} == {"a.pdf", "a_rates.csv"}
    written = (tmp_path / "reports" / "a_rates.csv").read_bytes()
    assert written.startswith(b"\xef\xbb\xbf")  # or a spreadsheet reads the names as Latin
    lines = written.decode("utf-8-sig").splitlines()
    assert lines[0] == "note,kelurahan,rate,source"
    assert lines[1].startswith(f"{display.SYNTHETIC},Menteng,1234.5,")
    assert lines[2].startswith(f"{display.SYNTHETIC},Évo,,")
