import re
import shutil

import pytest

from analysis import provenance, sources


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_every_raw_file_is_as_on_record():
    assert sources.check() == []


def test_check_raw_prints_what_it_verified(capsys):
    assert sources.main([]) == 0
    assert re.match(r"check-raw: \d+ files are as on record", capsys.readouterr().out)


def test_a_changed_file_is_named_with_its_cure(raw_copy, capsys):
    edit(raw_copy / "bps/dki_poverty_semester.csv", "2017-09,3.78", "2017-09,2.78")
    with pytest.raises(sources.SourceError) as error:
        sources.read("dki_poverty_semester")
    message = str(error.value)
    assert "bps/dki_poverty_semester.csv is not the file on record" in message
    assert "git checkout" in message and "\n" not in message
    changed = provenance.sha256(raw_copy / "bps/dki_poverty_semester.csv")
    assert f"sha256: {changed}" in message  # the other cure: put this into the record
    assert sources.main([]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_missing_file_is_named_with_its_cure(raw_copy):
    (raw_copy / "bps/provinces.csv").unlink()
    with pytest.raises(sources.SourceError, match=r"provinces\.csv is missing: restore it with"):
        sources.read("provinces")
    assert len(sources.check()) == 1


def test_a_raw_file_without_record_is_found(raw_copy):
    shutil.copy(raw_copy / "bps/provinces.csv", raw_copy / "bps/more.csv")
    assert ["has no record" in problem for problem in sources.check()] == [True]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("  licence: Official", "  license: Official", "license"),
        ("  date_published: 2026-02-05", "  date_published: in February", "date_published"),
        ("  redistributable: true", "  redistributable: maybe", "redistributable"),
        ("  redistributable: true", "  redistributable: false", "installed"),
        ("  bytes: ", "  bytes: -", "bytes"),
        ("  address: https", "  address: ftp", "address"),
    ],
)
def test_a_record_that_breaks_the_schema_is_named(raw_copy, old, new, told):
    edit(raw_copy / "sources.yml", old, new)
    problems = sources.check()
    assert problems and "dki_poverty_semester" in problems[0] and told in problems[0]


def test_an_unknown_source_lists_the_known_ones():
    with pytest.raises(sources.SourceError, match="there are: .*release_dates"):
        sources.record("nothing")


def test_codes_and_periods_are_text():
    panel = sources.read("province_poverty")
    assert set(panel["province_code"].str.len()) == {2}
    assert "00" in set(panel["province_code"])
    assert panel["period"].iloc[0] == "2010-03"
    assert sources.read("slum_rw_three_kota")["rw"].iloc[0] == "005"


def test_split_touches_only_what_changed(raw_copy, tmp_path):
    folder = tmp_path / "split"
    sources.split(folder)
    before = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    edit(raw_copy / "sources.yml", "BPS, Master File Desa", "BPS, the Master File Desa")
    sources.records.cache_clear()
    sources.split(folder)
    after = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"provinces.txt"}


def test_raw_tables_hold_the_published_facts(shared):
    """The committed tables are a faithful re-entry of the compiled facts."""
    import pandas as pd

    facts = pd.read_csv(shared / "facts/dki_poverty_semester.csv")
    own = sources.read("dki_poverty_semester")
    assert (own["period"] == facts["period"]).all()
    for mine, theirs in (("p0_pct", "P0_pct"), ("poor_thousand",) * 2, ("p1_pct", "P1")):
        pd.testing.assert_series_equal(own[mine], facts[theirs], check_names=False)
