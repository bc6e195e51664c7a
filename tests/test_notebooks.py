"""The committed notebooks: executed, free of errors, and without maps as vectors."""

import json
import re

import pytest

from analysis import paths

NOTEBOOKS = sorted((paths.ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def cells(request):
    return json.loads(request.param.read_text(encoding="utf-8"))["cells"]


def test_there_are_notebooks():
    assert len(NOTEBOOKS) >= 6


def test_every_code_cell_was_executed_in_order_without_error(cells):
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    kinds = [out["output_type"] for cell in code for out in cell["outputs"]]
    assert "error" not in kinds
    assert not [out for cell in code for out in cell["outputs"] if out.get("name") == "stderr"]


def test_it_opens_with_title_question_and_answer(cells):
    title, question = "".join(cells[0]["source"]).split("\n\n")
    assert title.startswith("# ")
    assert question.endswith("?") and question.count("?") == 1 and "\n" not in question
    shown = [out for cell in cells for out in cell.get("outputs", [])]
    assert "".join(shown[0]["data"]["text/markdown"]).startswith("> **Answer.**")


def test_figures_are_raster_images_with_caption_alt_and_source(cells):
    for cell in cells:
        for out in cell.get("outputs", []):
            data = out.get("data", {})
            assert "image/svg+xml" not in data and "application/geo+json" not in data
            if "image/png" in data:
                text = "".join(data["text/plain"])
                assert "Alt: " in text and "Source: " in text and "accessed" in text
                assert len(data["image/png"]) * 3 / 4 < 400_000, "a figure over 400 kB"
            for kind in ("text/html", "text/plain", "text/markdown"):
                text = "".join(data.get(kind, ""))
                assert not re.search(r"(MULTI)?POLYGON \(|POINT \(|<svg", text), (
                    "geometry in an output"
                )


def test_cells_leave_the_logic_to_the_library(cells):
    for cell in cells:
        source = "".join(cell["source"])
        assert not re.search(r"^\s*(def|class) ", source, re.MULTILINE)
        assert len(source.split("\n")) <= 40


def test_prose_states_no_computed_number_by_hand(cells):
    """What may stand in prose are years, versions, lengths of codes, and names with numbers."""
    allowed = {"4.1", "1.0", "4", "7", "10", "0", "1", "2", "3", "5"}
    allowed |= {"267", "100"}  # the number of kelurahan (asserted in test_data), and all of it
    for cell in cells:
        if cell["cell_type"] == "markdown":
            prose = re.sub(r"`[^`]*`|\[@\w+\]|@[\w-]+|P[012]\b", "", "".join(cell["source"]))
            numbers = set(re.findall(r"\d+(?:[.,]\d+)*", prose))
            years = {number for number in numbers if re.fullmatch(r"(19|20)\d\d", number)}
            assert numbers - years <= allowed, numbers - years - allowed
