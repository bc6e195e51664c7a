import json

import bps_files as files
import pandas as pd
import pytest
from bps_server import BpsServer

from analysis import provenance, sources
from analysis.bps import client, refresh


class Stand_In:
    """Answers as a client would: P0, poor and line by province, P0 and line by kota."""

    titles = dict.fromkeys(("192", "621"), "Persentase Penduduk Miskin (P0)")
    titles |= {"183": "Jumlah Penduduk Miskin"}
    titles |= dict.fromkeys(("195", "624"), "Garis Kemiskinan")

    def __init__(self, error=None, total="Jumlah", **values):
        self.error, self.total = error, total
        self.values = {"192": {}, "183": {}, "195": {}, "621": {}, "624": {}} | values

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def periods(self, variable, domain, *, refresh=False):
        if self.error:
            raise self.error
        assert domain == "0000" and refresh
        return pd.DataFrame({"period_id": ["125"], "period": ["2025"]})

    def dynamic_tables(self, variable, domain, periods, *, refresh=False):
        halves = [{"val": 61, "label": "Maret"}, {"val": 62, "label": "September"}]
        whole = [{"val": 0, "label": "Tahun"}]
        by_province = variable in ("192", "183", "195")
        content = {}
        for (code, part, category), value in self.values[variable].items():
            content[f"{code}{variable}{category}125{part}"] = value
        answer = files.webapi(
            var=[{"val": int(variable), "label": self.titles[variable], "unit": ""}],
            turvar=[{"val": 432, "label": "Perkotaan"}, {"val": 434, "label": self.total}]
            if by_province
            else [{"val": "0", "label": "Tidak ada"}],
            vervar=[
                {"val": 3100, "label": "DKI JAKARTA"},
                {"val": 3175, "label": "Jakarta Utara"},
                {"val": 3201, "label": "Bogor"},
            ],
            tahun=[{"val": 125, "label": "2025"}],
            turtahun=halves if by_province else whole,
            datacontent=content,
        )
        return [answer]


CHANGED = {
    # The rate of March as in the table, that of September revised; the town's is not taken.
    "192": {(3100, 61, 434): 4.28, (3100, 62, 434): 4.05, (3100, 61, 432): 9.99},
    "183": {(3100, 62, 434): 439.12},
    "195": {(3100, 61, 434): 852768},
    "621": {(3175, 0, 0): 6.2},
    "624": {(3175, 0, 0): 736415, (3201, 0, 0): 500000},
}


def both_files(raw):
    return [
        (raw / name).read_bytes()
        for name in ("sources.yml", "bps/province_poverty.csv", "bps/dki_kota_poverty.csv")
    ]


def test_only_what_differs_is_shown_and_replaced(raw_copy, capsys):
    assert refresh.main(["--yes"], Stand_In(**CHANGED)) == 0
    told = capsys.readouterr().out
    assert "0 new and 1 changed" in told and "DKI JAKARTA (31) 2025-09 p0_pct: 4.03 -> 4.05" in told
    assert "1 new and 0 changed" in told and "+ Jakarta Utara (3175) 2025-03 p0_pct: 6.2" in told
    assert "Bogor" not in told and "9.99" not in told
    panel = sources.read("province_poverty")
    own = panel[
        (panel["province_code"] == "31")
        & (panel["period"] == "2025-09")
        & (panel["indicator"] == "p0_pct")
    ]
    assert own["value_as_published"].tolist() == ["4.05"]
    assert own["source"].tolist() == ["BPS WebAPI variable 192"]
    kota = sources.read("dki_kota_poverty").set_index(["period", "kota_code"])
    assert kota.loc[("2025-03", "3175"), "p0_pct"] == 6.2
    assert kota.loc[("2025-03", "3175"), "poverty_line_rp"] == 736_415  # beside what was there
    assert sources.check() == []  # the records fit the new files
    assert len(panel) == 2221 and len(kota) == 42  # nothing was taken away


def test_another_variable_or_category_than_meant_is_noticed(raw_copy, capsys, monkeypatch):
    before = both_files(raw_copy)
    assert refresh.main(["--yes"], Stand_In(total="Perkotaan+Perdesaan", **CHANGED)) == 1
    assert "'Jumlah' is not one of these" in capsys.readouterr().err
    monkeypatch.setitem(Stand_In.titles, "183", "Rata-rata Lama Sekolah")
    assert refresh.main(["--yes"], Stand_In(**CHANGED)) == 1
    assert "variable 183 is 'Rata-rata Lama Sekolah, " in capsys.readouterr().err
    assert both_files(raw_copy) == before


def test_the_same_through_http(raw_copy, capsys, tmp_path):
    stand_in = Stand_In(**CHANGED)
    with BpsServer() as server:
        for variable in stand_in.values:
            (answer,) = stand_in.dynamic_tables(variable, "0000", ["125"])
            server.tables["0000", variable] = json.loads(answer)
        asked = client.Client(
            server.token, base_url=server.address, cache=tmp_path / "cache", pause_s=0, backoff_s=0
        )
        assert refresh.main(["--yes"], asked) == 0
    assert "4.03 -> 4.05" in capsys.readouterr().out
    assert sources.check() == []


def test_nothing_is_replaced_without_a_yes(raw_copy, capsys, monkeypatch):
    before = both_files(raw_copy)
    monkeypatch.setattr("sys.stdin", type("NoTerminal", (), {"isatty": lambda self: False})())
    assert refresh.main([], Stand_In(**CHANGED)) == 3
    assert "stays as it is" in capsys.readouterr().out
    assert both_files(raw_copy) == before


@pytest.mark.parametrize(
    "error",
    [
        client.NoToken("there is no token"),
        client.NetworkDown("the network is down"),
        client.NotFound("no variable"),
    ],
)
def test_a_failure_says_so_and_the_tables_stay(raw_copy, capsys, error):
    before = both_files(raw_copy)
    assert refresh.main(["--yes"], Stand_In(error)) == 1
    told = capsys.readouterr().err
    assert str(error) in told and "the committed tables stay as they are" in told
    assert told.count("\n") == 1
    assert both_files(raw_copy) == before


def test_nothing_new_is_said(raw_copy, capsys):
    same = {"192": {(3100, 61, 434): 4.28}, "183": {(3100, 62, 434): 439.12}}
    same |= {"621": {(3175, 0, 0): 6.2}, "624": {(3175, 0, 0): 736415}}
    del same["621"][(3175, 0, 0)]
    assert refresh.main([], Stand_In(**same)) == 0
    assert capsys.readouterr().out.count("nothing has changed") == 2


def test_a_write_that_fails_leaves_file_and_record(raw_copy, monkeypatch):
    before = both_files(raw_copy)
    monkeypatch.setattr(
        provenance, "sha256", lambda path: (_ for _ in ()).throw(OSError(28, "No space left"))
    )
    with pytest.raises(OSError, match="No space"):
        refresh.write("province_poverty", pd.DataFrame({"a": [1]}), "2026-11-24")
    assert both_files(raw_copy) == before
    assert not [file for file in raw_copy.rglob(".*.new")]
