import io
import struct
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt

from analysis import display, paths, provenance, sources


@pytest.fixture
def shown():
    """What was displayed, as (bundle, metadata)."""
    outputs = []

    def collect(bundle, metadata=None, raw=False):
        assert raw
        outputs.append((bundle, metadata))

    with mock.patch.object(display, "display", collect):
        yield outputs


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (1234567, 0, "1,234,567"),
        (-0.04, 2, "−0.04"),
        (-0.001, 2, "0.00"),
        (np.nan, 2, "…"),
        (pd.NA, 0, "…"),
        (None, 0, "…"),
        ("0317", 0, "0317"),
        (0.5, display.AS_PUBLISHED, "0.5"),
        (0.612, display.AS_PUBLISHED, "0.612"),
        (385621.0, display.AS_PUBLISHED, "385,621"),
        (True, 0, "yes"),
    ],
)
def test_values_are_written_as_tables_print_them(value, decimals, text):
    assert display.written(value, decimals) == text


@given(st.floats(-1e9, 1e9), st.integers(0, 4))
def test_a_written_number_can_be_read_back(value, decimals):
    text = display.written(value, decimals).replace("−", "-").replace(",", "")
    assert float(text) == pytest.approx(value, abs=0.5 * 10**-decimals * 1.000001)
    assert text != "-" + "0." + "0" * decimals


def test_a_figure_carries_caption_alt_source_and_vintage(shown):
    figure, axes = plt.subplots()
    axes.plot([1, 2])
    display.show_figure(
        figure,
        caption="A line",
        alt="It rises.",
        label="fig-a",
        source=["release_dates"],
        note="Mind.",
    )
    (bundle, metadata), (html, _) = shown
    assert bundle["image/png"].startswith(b"\x89PNG")
    text = bundle["text/plain"]
    for part in ("A line", "It rises.", "Mind.", "Source: BPS Provinsi DKI Jakarta", "accessed"):
        assert part in text
    assert metadata["image/png"]["alt"] == "It rises."
    assert "A line" in html["text/html"]
    assert "Source: BPS" in figure.texts[-1].get_text()  # on the figure itself
    assert not plt.fignum_exists(figure.number)


@pytest.mark.parametrize("wrong", [{"alt": " "}, {"caption": ""}, {"label": "a"}])
def test_a_figure_without_caption_alt_or_label_is_refused(shown, wrong):
    figure = plt.figure()
    arguments = {"caption": "c", "alt": "a", "label": "fig-a", "source": ["release_dates"]} | wrong
    with pytest.raises(ValueError, match="needs a caption"):
        display.show_figure(figure, **arguments)
    plt.close(figure)
    assert shown == []


def test_a_figure_is_as_wide_as_the_text_and_the_same_twice(shown):
    for _ in range(2):
        figure, axes = plt.subplots(figsize=(display.WIDTH_INCHES, 2))
        axes.plot([1, 2])
        axes.set_title("A title")
        display.show_figure(figure, caption="c", alt="a", label="fig-a", source=["release_dates"])
    first, second = shown[0][0]["image/png"], shown[2][0]["image/png"]
    assert first == second
    width, _ = struct.unpack(">II", first[16:24])
    assert width == pytest.approx(display.WIDTH_INCHES * display.DPI, rel=0.01)
    assert b"matplotlib" not in first.lower()


def test_a_table_says_the_same_in_all_its_forms(shown):
    table = pd.DataFrame({"name": ["a|b", "<c>"], "p0_pct": [3.781, np.nan], "year": [2017, 2018]})
    display.show_table(
        table,
        caption="Rates",
        label="tbl-a",
        source=["release_dates"],
        headers={"name": "Name", "p0_pct": "P0 (%)"},
        decimals={"p0_pct": 2},
        note="A note.",
        widths=[0.5, 0.25, 0.25],
    )
    ((bundle, _),) = shown
    markdown, html, plain = (bundle[f"text/{kind}"] for kind in ("markdown", "html", "plain"))
    assert "| a\\|b | 3.78 | 2017 |" in markdown and "| <c> | … | 2018 |" in markdown
    assert ': Rates {#tbl-a widths="0.5,0.25,0.25"}' in markdown
    assert "&lt;c&gt;" in html and "<c>" not in html
    for form in (markdown, html, plain):
        for part in ("3.78", "…", "2017", "Rates", "A note.", "Source: BPS", "P0 (%)"):
            assert part in form


def test_an_unknown_source_is_refused():
    with pytest.raises(ValueError, match="no source 'hearsay'"):
        display.source_line(["hearsay"])


@pytest.fixture
def nothing_read(monkeypatch):
    monkeypatch.setattr(provenance, "_reads", {})


def test_what_rests_on_simulated_data_says_so_by_itself(nothing_read, shown):
    table = pd.DataFrame({"a": [1]})
    display.show_table(table, caption="A", label="tbl-a", source=["provinces"])
    assert display.SYNTHETIC not in shown[-1][0]["text/markdown"]
    sources.read("provinces")
    assert not provenance.synthetic()
    sources.read("sae_area")  # one simulated file among others
    assert provenance.synthetic()
    display.show_table(table, caption="A", label="tbl-a", source=["provinces"])
    for kind in ("text/markdown", "text/html", "text/plain"):
        assert display.SYNTHETIC in shown[-1][0][kind]
    figure, axes = plt.subplots()
    axes.plot([0, 1])
    display.show_figure(figure, caption="A", alt="A", label="fig-a", source=["provinces"])
    assert display.SYNTHETIC in shown[-2][0]["text/plain"]  # the caption comes last
    drawn = [text.get_text() for text in figure.texts]
    assert display.SYNTHETIC.upper() in drawn


def test_a_table_made_from_simulated_data_is_simulated(nothing_read):
    behind = [{"path": "x", "sha256": "0", "sources": [], "direct": True, "synthetic": True}]
    provenance.record(paths.ROOT / "README.md", behind=behind)
    assert provenance.synthetic()
    assert all(read["synthetic"] for read in provenance.reads())


def test_a_table_of_an_earlier_version_is_not(nothing_read):
    behind = [{"path": "x", "sha256": "0", "sources": [], "direct": True}]
    provenance.record(paths.ROOT / "README.md", behind=behind)
    assert not provenance.synthetic()


# ---- files -----------------------------------------------------------------------------------


def in_file(shown) -> pd.DataFrame:
    bundle, metadata = shown[-1]
    assert metadata == {display.FILE: {"name": "areas"}}
    assert "`…_areas.csv`" in bundle["text/markdown"]
    return pd.read_csv(io.StringIO(bundle[display.FILE]))


def test_a_file_carries_its_source_and_the_mark_in_every_row(shown, monkeypatch):
    table = pd.DataFrame({"area": ["Tebet, barat", "Pulo"], "p0_pct": [1.25, None]})
    for simulated in (True, False):
        monkeypatch.setattr(provenance, "synthetic", lambda answer=simulated: answer)
        display.show_file(table, name="areas", source=["release_dates"])
        found = in_file(shown)
        assert found["source"].str.startswith("Source: ").all()
        assert ("note" in found) == simulated
        assert not simulated or (found["note"] == display.SYNTHETIC).all()
        pd.testing.assert_frame_equal(found[["area", "p0_pct"]], table, check_dtype=False)


@pytest.mark.parametrize(
    ("name", "column"), [("../areas", "p0_pct"), ("", "p0_pct"), ("areas", "note")]
)
def test_a_file_that_could_lie_elsewhere_or_lose_its_mark_is_refused(shown, name, column):
    with pytest.raises(ValueError, match="a file needs a name of letters"):
        display.show_file(pd.DataFrame({column: [1]}), name=name, source=["release_dates"])
    assert not shown
