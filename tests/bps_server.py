"""A small WebAPI of BPS on this machine: answers of the real shape, and every way to fail."""

import copy
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "0123456789abcdef0123456789ABCDEF"
JSON, HTML = "application/json; charset=UTF-8", "text/html; charset=UTF-8"
PER_PAGE = 10

DOMAINS = [
    {"domain_id": "0000", "domain_name": "Pusat", "domain_url": "https://www.bps.go.id"},
    {"domain_id": "1100", "domain_name": "Aceh", "domain_url": "https://aceh.bps.go.id"},
    {"domain_id": "3100", "domain_name": "DKI Jakarta", "domain_url": "https://jakarta.bps.go.id"},
]
SUBJECTS = [
    {"sub_id": n, "title": f"Subjek {n}", "subcat_id": 1, "subcat": "Sosial", "ntabel": None}
    for n in range(1, 26)
]
VARIABLES = [
    {
        "var_id": number,
        "title": title,
        "sub_id": 23,
        "sub_name": "Kemiskinan dan Ketimpangan",
        "subcsa_id": 523,
        "subcsa_name": "Konsumsi dan Pendapatan",
        "def": "",
        "notes": None,
        "vertical": 1,
        "unit": unit,
        "graph_id": 3,
        "graph_name": "Bar",
    }
    for number, title, unit in (
        (192, "Persentase Penduduk Miskin (P0) Menurut Provinsi dan Daerah", "Persen"),
        (624, "Garis Kemiskinan Menurut Kabupaten/Kota", "Rupiah/kapita/bulan"),
    )
]
TABLE_624 = {
    "status": "OK",
    "data-availability": "available",
    "last_update": "2025-12-01 13:45:51",
    "subject": [{"val": 523, "label": "Konsumsi dan Pendapatan"}],
    "var": [
        {
            "val": 624,
            "label": "Garis Kemiskinan Menurut Kabupaten/Kota",
            "unit": "Rupiah/kapita/bulan",
            "subj": "Kemiskinan dan Ketimpangan",
            "def": "",
            "decimal": 2,
            "note": "<p>Tidak ada data Susenas Maret 2015 di Kabupaten Nduga</p>",
        }
    ],
    "turvar": [{"val": "0", "label": "Tidak ada"}],
    "labelvervar": "Nama Wilayah",
    "vervar": [
        {"val": 3100, "label": "<b>DKI JAKARTA</b>"},
        {"val": 3101, "label": "Kepulauan Seribu"},
    ],
    "tahun": [{"val": 100 + n, "label": str(2000 + n)} for n in range(21, 26)],
    "turtahun": [{"val": 0, "label": "Tahun"}],
    "datacontent": {
        f"{area}6240{100 + n}0": 600000 + 1000 * n + area
        for area in (3100, 3101)
        for n in range(21, 26)
    },
    "related": [],
}
STATIC_TABLES = [
    {
        "table_id": n,
        "title": f"Tabel {n}",
        "subj_id": 23,
        "subj": "Kemiskinan",
        "updt_date": "2024-02-29",
        "size": "23 KB",
        "excel": f"https://jakarta.bps.go.id/statictable/{n}.xls",
    }
    for n in (1261, 1262)
]
STATIC_TABLE = {
    "status": "OK",
    "data-availability": "available",
    "data": {
        "table_id": 1261,
        "title": "Jumlah RW Kumuh",
        "table": "&lt;table&gt;&lt;tr&gt;&lt;td&gt;445&lt;/td&gt;&lt;/tr&gt;&lt;/table&gt;",
        "updt_date": "2024-02-29",
        "excel": "https://jakarta.bps.go.id/statictable/1261.xls",
    },
}
NOT_AVAILABLE = {"status": "OK", "data-availability": "list-not-available", "data": ""}


class BpsServer:
    """The server; as a context manager it runs.

    Attributes
    ----------
    address
        Its base address.
    token
        The token that it accepts.
    requests
        The paths asked for so far, with the token.
    agents
        The user agents that asked.
    faults
        What the next answers are instead of the right ones: names of `FAULTS`, used up in turn,
        or followed by ``...`` for ever.
    tables
        The dynamic tables by domain and variable, with all their periods.
    """

    def __init__(self, token: str = TOKEN):
        self.token = token
        self.requests: list[str] = []
        self.agents: list[str] = []
        self.faults: list = []
        self.tables = {("0000", "624"): copy.deepcopy(TABLE_624)}
        self.lists = {
            "subject": {"0000": SUBJECTS, "3100": SUBJECTS[:3]},
            "var": {"0000": VARIABLES},
            "statictable": {"3100": STATIC_TABLES},
        }

    def __enter__(self) -> "BpsServer":
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.requests.append(self.path)
                server.agents.append(self.headers["User-Agent"])
                status, headers, body, length = server.answer(self.path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # a client that has gone away is no news
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_port}/v1/api"
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, path: str) -> tuple[int, dict, bytes, int]:
        """HTTP status, headers, body, and the length that is promised."""
        fault = None
        if self.faults:
            fault = self.faults[0]
            if self.faults[1:] != [...]:
                self.faults.pop(0)
        if fault is None:
            status, body = 200, self.right_answer(path)
        else:
            status, body = FAULTS[fault]
        headers = {"Content-Type": JSON}
        if fault == "429 then":
            headers["Retry-After"] = "0"
        if fault == "429 for an hour":
            headers["Retry-After"] = "3600"
        if fault == "redirect":
            headers["Location"] = f"https://elsewhere.invalid{path}"
        if fault == "compressed":
            headers["Content-Encoding"] = "gzip"
        if not isinstance(body, bytes | str):
            body = json.dumps(body).replace("/", "\\/")  # as PHP writes it
        if isinstance(body, str):
            if body.startswith("<"):
                headers["Content-Type"] = HTML
            body = body.replace("{path}", path).replace("{token}", self.token).encode()
        if fault == "cut-off JSON":
            body = body[: len(body) // 2]
        return status, headers, body, len(body) + (100 if fault == "broken connection" else 0)

    def right_answer(self, path: str):
        path, _, key = path.removeprefix("/v1/api/").partition("/key/")
        if key != self.token:
            return FAULTS["wrong token"][1]
        if path == "domain/type/all":
            head = {"page": 1, "pages": 1, "total": len(DOMAINS)}
            return {"status": "OK", "data-availability": "available", "data": [head, DOMAINS]}
        words = path.split("/")
        asked = dict(zip(words[1::2], words[2::2], strict=True))
        domain, variable = asked["domain"], asked.get("var")
        if domain not in {d["domain_id"] for d in DOMAINS}:
            return {"status": "Error", "message": f"Domain {domain} not found"}
        if words[0] == "view":
            return STATIC_TABLE if asked["id"] == "1261" else NOT_AVAILABLE
        table = self.tables.get((domain, variable))
        if asked["model"] == "data":
            return self.dynamic_table(table, asked["th"].split(";"), domain)
        if asked["model"] == "th":
            years = table["tahun"] if table else []
            found = [{"th_id": year["val"], "th": year["label"]} for year in reversed(years)]
        else:
            found = self.lists[asked["model"]].get(domain, [])
            if "subject" in asked:
                found = [item for item in found if str(item["sub_id"]) == asked["subject"]]
        if not found:
            return NOT_AVAILABLE
        page = int(asked["page"])
        shown = found[PER_PAGE * (page - 1) : PER_PAGE * page]
        head = {
            "page": page,
            "pages": -(-len(found) // PER_PAGE),
            "per_page": PER_PAGE,
            "count": len(shown),
            "total": len(found),
        }
        return {"status": "OK", "data-availability": "available", "data": [head, shown]}

    def dynamic_table(self, table: dict | None, periods: list[str], domain: str) -> dict:
        most = 3 if domain == "0000" else 2
        if len(periods) > most:
            return {
                "status": "Error",
                "message": "The maximum allowed number of years for the 'th' parameter is "
                f"{most}. You provided {len(periods)}. Please reduce the number of years "
                "accordingly.",
            }
        there = [y for y in table["tahun"] if str(y["val"]) in periods] if table else []
        if not there:
            return NOT_AVAILABLE  # BPS does not tell an unknown variable from an empty one
        ends = tuple(f"{year['val']}{part['val']}" for year in there for part in table["turtahun"])
        content = {key: v for key, v in table["datacontent"].items() if key.endswith(ends)}
        return table | {"tahun": there, "datacontent": content}


def path_without_token(path: str) -> str:
    """A path asked for as the client's addresses have it."""
    return re.sub(r"/key/[^/]*$", "", path.removeprefix("/v1/api/"))


# Each: HTTP status and body; "{path}" and "{token}" stand for what a server sends back of them.
FAULTS = {
    "wrong token": (
        200,
        {
            "status": "Error",
            "message": "You are not Allowed to take this action. Please re-check your key",
        },
    ),
    "token refused": (401, "<html><body>Unauthorized: {token}</body></html>"),
    "unknown variable": (200, {"status": "Error", "message": "Variable not found"}),
    "not found 404": (404, {"status": "Error", "message": "Data tidak ditemukan ({token})"}),
    "list-not-available": (200, NOT_AVAILABLE),
    "not-available 404": (404, {"status": "ERROR", "data-availability": "list-not-available"}),
    "other error": (200, {"status": "Error", "message": "Gangguan pada {path}\nbaris 2"}),
    "429": (429, {"status": "Error", "message": "Too Many Requests"}),
    "429 then": (429, {"status": "Error", "message": "Too Many Requests"}),
    "429 for an hour": (429, {"status": "Error", "message": "Too Many Requests"}),
    "500": (500, "<html><body>Internal Server Error {path}</body></html>"),
    "503": (503, {"status": "Error", "message": "{path}"}),
    "firewall": (
        403,
        "<!doctype html>\n<head><title> Perimeter WAF Block </title></head>"
        "<body>Akses ini ditolak: https://webapi.bps.go.id{path}</body>",
    ),
    "HTML page": (200, "<!DOCTYPE html><html><body>Pemeliharaan {path}</body></html>"),
    "HTML 404": (404, "<html><body>404 - Unable to resolve the request {path}</body></html>"),
    "redirect": (302, ""),
    "cut-off JSON": (200, TABLE_624),
    "broken connection": (200, TABLE_624),
    "compressed": (200, TABLE_624),
    "null": (200, "null"),
    "empty": (200, ""),
    "no UTF-8": (200, b'{"status": "OK", "data": "\xff"}'),
    "other text": (200, "OK {token}"),
    "list": (200, ["{token}"]),
    "no status": (200, {"data": "{token}"}),
    "other shape": (200, {"status": "OK", "data-availability": "available", "data": "{token}"}),
    "token sent back": (200, TABLE_624 | {"related": ["{path}"]}),
}
