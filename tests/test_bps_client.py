"""The client of the WebAPI, against a server on this machine (`bps_server`)."""

import gzip
import io
import itertools
import json
import logging
import os
import pickle
import re
import signal
import subprocess
import sys
import time
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pandas as pd
import pytest
from bps_server import FAULTS, NOT_AVAILABLE, TOKEN, BpsServer, path_without_token

from analysis import paths
from analysis.bps import client as bps

PERIODS = ["124", "125"]


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("BPS_TOKEN", raising=False)
    with BpsServer() as server:
        yield server


@pytest.fixture
def connect(server, tmp_path):
    """A client of the server without waits; arguments replace its own."""
    clients = []

    def connected(**arguments) -> bps.Client:
        own = {"base_url": server.address, "cache": tmp_path / "cache", "token": TOKEN}
        clients.append(bps.Client(**own | {"pause_s": 0, "backoff_s": 0.001} | arguments))
        return clients[-1]

    yield connected
    for client in clients:
        client.close()


@pytest.fixture
def client(connect):
    return connect()


def fetch(client: bps.Client, **arguments) -> bps.Answer:
    return client.dynamic_table("624", "0000", PERIODS, **arguments)


# What is asked and what comes


def test_domains(client, server):
    table = client.domains()
    assert list(table.columns) == ["domain_code", "domain", "address"]
    assert list(table["domain_code"]) == ["0000", "1100", "3100"]
    assert [path_without_token(path) for path in server.requests] == ["domain/type/all"]


def test_lists_have_all_pages_in_order_and_are_text(client, server):
    table = client.subjects("0000")
    assert list(table["subject_id"]) == [str(n) for n in range(1, 26)]
    assert set(table.dtypes) == {pd.StringDtype(na_value=float("nan"))}
    assert [path_without_token(path) for path in server.requests] == [
        f"list/model/subject/domain/0000/page/{page}" for page in (1, 2, 3)
    ]
    retrieved = datetime.fromisoformat(table.attrs["retrieved"])
    assert abs(retrieved - datetime.now(UTC)) < timedelta(minutes=1)


def test_variables_of_a_domain_and_of_a_subject(client, server):
    table = client.variables("0000")
    assert list(table["variable_id"]) == ["192", "624"]
    assert list(table["unit"]) == ["Persen", "Rupiah/kapita/bulan"]
    assert table["notes"].isna().all() and (table["definition"] == "").all()
    assert len(client.variables("0000", "23")) == 2
    assert "list/model/var/domain/0000/subject/23/page/1" in server.requests[-1]
    with pytest.raises(bps.NotAvailable, match="variables of domain 0000, subject 1 "):
        client.variables("0000", "1")


def test_periods(client):
    table = client.periods("624", "0000")
    assert table.iloc[0].to_dict() == {"period_id": "125", "period": "2025"}


def test_static_tables(client):
    table = client.static_tables("3100")
    assert list(table["table_id"]) == ["1261", "1262"]
    assert table["date_updated"].iloc[0] == "2024-02-29"


def test_a_dynamic_table_comes_as_the_bytes_that_were_sent(client, server):
    answer = fetch(client)
    sent = server.answer(server.requests[0])[2]
    assert answer == sent and isinstance(answer, bytes) and b"\\/" in sent
    assert json.load(io.BytesIO(answer))["tahun"] == [
        {"val": 124, "label": "2024"},
        {"val": 125, "label": "2025"},
    ]
    assert answer.address == f"{server.address}/list/model/data/domain/0000/var/624/th/124;125"
    assert not answer.cached and answer.retrieved.tzinfo == UTC


def test_a_dynamic_table_of_many_periods_comes_in_as_many_answers_as_it_takes(client, server):
    everything = ["125", "121", "122", "123", "124", "124"]
    with pytest.raises(bps.TooManyPeriods, match="is 3. You provided 5.*dynamic_tables"):
        client.dynamic_table("624", "0000", everything)
    answers = client.dynamic_tables("624", "0000", everything)
    found = [[year["val"] for year in json.loads(answer)["tahun"]] for answer in answers]
    assert found == [[121, 122, 123], [124, 125]]
    server.tables["3100", "624"] = server.tables["0000", "624"]
    assert len(client.dynamic_tables("624", "3100", everything)) == 3


def test_one_period_need_not_be_a_list(client):
    assert client.dynamic_table("624", "0000", "125") == client.dynamic_table("624", "0000", [125])


def test_a_static_table(client):
    answer = client.static_table("1261", "3100")
    assert "&lt;table&gt;" in json.loads(answer)["data"]["table"]
    with pytest.raises(bps.NotAvailable, match="static table 5 of domain 3100"):
        client.static_table("5", "3100")


def test_it_does_not_come_under_a_name_that_the_firewall_turns_away(client, server):
    fetch(client)
    assert server.agents[0].startswith("Mozilla/5.0 (compatible; jakarta-poverty-analysis")


# What goes wrong

FAILURES = {
    "wrong token": (bps.WrongToken, "BPS refuses the token: compare BPS_TOKEN"),
    "token refused": (bps.WrongToken, "BPS refuses the token"),
    "unknown variable": (bps.NotFound, "does not find variable 624 of domain 0000"),
    "not found 404": (bps.NotFound, r"tidak ditemukan \(\*\*\*\)"),
    "list-not-available": (bps.NotAvailable, "has periods 125 .2025., 124"),
    "not-available 404": (bps.NotAvailable, "has periods 125"),
    "other error": (bps.UnexpectedAnswer, r"Gangguan pada /v1.*/key/\*\*\* baris 2"),
    "429": (bps.BpsServerError, "asked too often .HTTP 429. after 3 attempts"),
    "429 for an hour": (bps.BpsServerError, "after 1 attempt: try again in 3600 s"),
    "500": (bps.BpsServerError, "cannot answer now .HTTP 500. after 3 attempts"),
    "503": (bps.BpsServerError, "HTTP 503"),
    "firewall": (bps.UnexpectedAnswer, "HTML page of BPS's firewall.*HTTP 403"),
    "HTML page": (bps.UnexpectedAnswer, "is an HTML page: try again"),
    "HTML 404": (bps.UnexpectedAnswer, "is an HTML page .HTTP 404"),
    "redirect": (bps.UnexpectedAnswer, "leads to another address .HTTP 302"),
    "cut-off JSON": (bps.UnexpectedAnswer, "damaged or cut-off JSON"),
    "broken connection": (bps.NetworkDown, "after 3 attempts .RemoteProtocolError"),
    "compressed": (bps.UnexpectedAnswer, "compressed in a damaged way"),
    "null": (bps.UnexpectedAnswer, "too large: ask for fewer periods"),
    "empty": (bps.UnexpectedAnswer, "is empty"),
    "no UTF-8": (bps.UnexpectedAnswer, "damaged or cut-off JSON"),
    "other text": (bps.UnexpectedAnswer, "is no JSON"),
    "list": (bps.UnexpectedAnswer, "has no status"),
    "no status": (bps.UnexpectedAnswer, "has no status"),
    "other shape": (bps.UnexpectedAnswer, "has not the shape of a dynamic table"),
}


def assert_secret(error: BaseException, token: str = TOKEN) -> None:
    """The token is in no text of an error, of what hangs on it, nor of the client's frames."""
    seen, todo = set(), [error]
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        todo += [one.__cause__, one.__context__]
        assert token not in f"{one} {one!r} {one.args} {vars(one)}"
        assert token not in "".join(traceback.format_exception(one))
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if frame.f_code.co_filename != __file__:
                for name, value in frame.f_locals.items():
                    assert token not in repr(value), f"{name} in {frame.f_code.co_qualname}"


def assert_no_file_holds_the_token(folder: Path, token: str = TOKEN) -> None:
    for file in folder.rglob("*"):
        assert token not in file.name
        assert not file.is_file() or token.encode() not in file.read_bytes()


@pytest.mark.parametrize("fault", FAILURES)
def test_every_failure_has_its_error_and_keeps_the_token_secret(
    fault, connect, server, tmp_path, caplog, capfd
):
    for logger in ("", "httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, logger)
    client = connect(attempts=3)
    server.faults = [fault, ...] if fault in ("429", "500", "503", "broken connection") else [fault]
    kind, told = FAILURES[fault]
    with pytest.raises(bps.BpsError, match=told) as raised:
        fetch(client)
    assert raised.type is kind and "\n" not in str(raised.value)
    assert any("/key/" in path for path in server.requests)
    assert_secret(raised.value)
    assert TOKEN not in repr(client) + str(vars(client))
    assert any(record.name.startswith("httpcore") for record in caplog.records)
    assert any("HTTP Request" in line for line in caplog.messages) or kind is bps.NetworkDown
    for record in caplog.records:
        assert TOKEN not in f"{record.getMessage()} {record.__dict__}"
    assert TOKEN not in "".join(capfd.readouterr())
    # Only the list of periods, which was fetched for the message, may have been kept.
    kept = list((tmp_path / "cache").glob("*"))
    assert all(file.name.startswith("list-model-th-") for file in kept)
    assert_no_file_holds_the_token(tmp_path)


def test_the_failures_tested_are_all_there_are():
    good = {"429 then", "token sent back"}
    assert set(FAULTS) == set(FAILURES) | good
    used = {kind for kind, _ in FAILURES.values()}
    elsewhere = {bps.NoToken, bps.TooManyPeriods, bps.CacheNotWritable}
    assert {
        k for k in vars(bps).values() if isinstance(k, type) and issubclass(k, bps.BpsError)
    } == used | elsewhere | {bps.BpsError, bps._Passing}


def test_a_token_that_the_server_sends_back_is_taken_out(client, server, tmp_path):
    server.faults = ["token sent back"]
    answer = fetch(client)
    assert json.loads(answer)["related"][0].endswith("/key/***")
    assert_no_file_holds_the_token(tmp_path)


def test_a_redirect_is_not_followed_and_not_logged_with_the_token(client, server, caplog):
    caplog.set_level(logging.DEBUG)
    server.faults = ["redirect"]
    with pytest.raises(bps.UnexpectedAnswer):
        fetch(client)
    assert len(server.requests) == 1
    headers = [line for line in caplog.messages if "elsewhere.invalid" in line]
    assert headers and all("***" in line and TOKEN not in line for line in headers)


def test_the_log_filters_go_with_the_client(connect):
    before = {name: list(logging.getLogger(name).filters) for name in bps._LOGGERS}
    client = connect()
    client.close()
    assert before == {name: logging.getLogger(name).filters for name in bps._LOGGERS}


def test_a_client_cannot_be_pickled_with_its_token(client):
    fetch(client)
    with pytest.raises((TypeError, AttributeError)):
        pickle.dumps(client)
    with pytest.raises(TypeError, match="not written anywhere"):
        pickle.dumps(client._token)


def test_no_server_is_named_as_network_down(connect, tmp_path):
    client = connect(base_url="http://127.0.0.1:9/v1/api", attempts=2)
    with pytest.raises(bps.NetworkDown, match="after 2 attempts .ConnectError") as raised:
        fetch(client)
    assert_secret(raised.value)
    assert not (tmp_path / "cache").exists()


def test_a_slow_server_is_named_as_network_down(connect, server, monkeypatch):
    monkeypatch.setattr(server, "answer", lambda _: time.sleep(0.3) or (200, {}, b"", 0))
    with pytest.raises(bps.NetworkDown, match="ReadTimeout"):
        fetch(connect(attempts=1, timeout_s=0.05))


def test_an_exception_of_httpx_that_carries_the_address_is_not_let_through(connect):
    def fail(request):
        raise httpx.ConnectError(f"no route to {request.url}", request=request)

    client = connect(transport=httpx.MockTransport(fail), attempts=1)
    with pytest.raises(bps.NetworkDown, match=r"no route to .*/key/\*\*\*") as raised:
        fetch(client)
    assert raised.value.__cause__ is None and raised.value.__context__ is None
    assert_secret(raised.value)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda c: c.subjects("31"), "domain '31' is no code of 4 digits"),
        (lambda c: c.subjects("9999"), "Domain 9999 not found"),
        (lambda c: c.periods("7", "0000"), "variable 7 is not found in domain 0000"),
        (lambda c: c.dynamic_table("7", "0000", "125"), "variable 7 is not found in domain 0000"),
        (lambda c: c.dynamic_table("P0", "0000", "125"), "variable 'P0' is not found"),
        (lambda c: c.dynamic_table("624", "0000", ["125/x"]), "period '125/x' is not found"),
        (lambda c: c.static_table("../1", "3100"), "static table '../1' is not found"),
    ],
)
def test_what_does_not_exist_is_not_found(client, call, told):
    with pytest.raises(bps.NotFound, match=re.escape(told)) as raised:
        call(client)
    assert "\n" not in str(raised.value)


def test_a_period_without_data_names_those_there_are(client):
    with pytest.raises(bps.NotAvailable, match=r"periods 99: it has periods 125 \(2025\), 124"):
        client.dynamic_table("624", "0000", ["99"])
    with pytest.raises(bps.NotAvailable, match="no periods are asked for"):
        client.dynamic_table("624", "0000", [])


def test_the_table_of_another_variable_is_refused(client, server):
    server.tables["0000", "192"] = server.tables["0000", "624"]
    with pytest.raises(bps.UnexpectedAnswer, match="shape of a dynamic table"):
        client.dynamic_table("192", "0000", "125")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda data: data[1].pop(), "has 24 entries instead of 25"),
        (lambda data: data[1][0].pop("sub_id"), "not the shape of a list .page 3"),
        (lambda data: data[1].append("text"), "not the shape of a list .page 3"),
        (lambda data: data[0].update(page=1), "not the shape of a list .page 3"),
        (lambda data: data[0].pop("pages"), "not the shape of a list .page 3"),
        (lambda data: data.pop(), "not the shape of a list .page 3"),
        (None, "not the shape of a list .page 3"),
    ],
)
def test_a_list_is_had_whole_or_not_at_all(client, server, tmp_path, monkeypatch, spoil, told):
    right = server.right_answer

    def spoiled(path):
        answer = right(path)
        if "/page/3/" in path:
            answer = json.loads(json.dumps(answer if spoil else NOT_AVAILABLE))
            if spoil:
                spoil(answer["data"])
        return answer

    monkeypatch.setattr(server, "right_answer", spoiled)
    with pytest.raises(bps.UnexpectedAnswer, match=told):
        client.subjects("0000")
    assert not (tmp_path / "cache").exists()
    monkeypatch.setattr(server, "right_answer", right)
    assert len(client.subjects("0000")) == 25


# Attempts and pauses


@pytest.mark.parametrize("fault", ["429 then", "429", "500", "503", "broken connection"])
def test_what_may_pass_is_tried_again(client, server, fault):
    server.faults = [fault, fault]
    assert b"datacontent" in fetch(client)
    assert len(server.requests) == 3


@pytest.mark.parametrize("fault", ["wrong token", "firewall", "cut-off JSON", "429 for an hour"])
def test_what_cannot_pass_is_not_tried_again(client, server, fault):
    server.faults = [fault]
    with pytest.raises(bps.BpsError):
        fetch(client)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("0", 0),
        ("soon", 0),
        ("-3", 0),
        (None, 0),
        (timedelta(seconds=90), 90),  # from the moment of the test
        (timedelta(seconds=-90), 0),
        ("Mon, 23 Nov 2026 22:00:00", 0),  # no time zone
    ],
)
def test_retry_after_is_seconds_or_a_date(told, seconds):
    if isinstance(told, timedelta):
        told = format_datetime(datetime.now(UTC) + told, usegmt=True)
    response = httpx.Response(429, headers={"Retry-After": told} if told else {})
    assert bps._retry_after_s(response) == pytest.approx(seconds, abs=20 if seconds == 90 else 0)


def test_retry_after_is_waited_for(connect):
    answers = iter([httpx.Response(503, headers={"Retry-After": "2"}), httpx.Response(403)])
    client = connect(transport=httpx.MockTransport(lambda _: next(answers)))
    slept = []
    client._retrying.sleep = slept.append
    with pytest.raises(bps.UnexpectedAnswer):
        fetch(client)
    assert slept == [2]


def test_the_waits_between_attempts_grow(connect, server):
    client = connect(backoff_s=1, attempts=4)
    slept = []
    client._retrying.sleep = slept.append
    server.faults = ["500", ...]
    with pytest.raises(bps.BpsServerError):
        fetch(client)
    assert all(least <= wait <= least + 1 for least, wait in zip((1, 2, 4), slept, strict=True))
    assert len(set(slept)) == 3 and slept == sorted(slept)


def test_requests_keep_their_distance(connect):
    times = []

    def answer(request):
        times.append(time.monotonic())
        return httpx.Response(200, json=NOT_AVAILABLE)

    client = connect(transport=httpx.MockTransport(answer), pause_s=0.05)
    for _ in range(3):
        with pytest.raises(bps.NotAvailable):
            client.subjects("3100")
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(gaps) == 2 and min(gaps) >= 0.05


# The cache


def test_an_answer_in_the_cache_makes_no_request_and_says_when_it_was_retrieved(
    connect, server, tmp_path
):
    first = fetch(connect())
    again = fetch(connect(token=None))  # nor a token
    assert len(server.requests) == 1
    assert again == first and again.cached and again.retrieved == first.retrieved
    [file] = (tmp_path / "cache").iterdir()
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert kept["body"].encode() == first and kept["address"] == first.address
    assert datetime.fromisoformat(kept["retrieved"]) == first.retrieved
    assert file.name.startswith("list-model-data-domain-0000-var-624-th-124-125-")


def test_the_order_of_periods_does_not_matter_to_the_cache(client, server):
    fetch(client)
    assert client.dynamic_table("624", "0000", iter([125, "124", "125"])).cached
    assert len(server.requests) == 1


def test_a_list_in_the_cache_makes_no_request_and_is_as_old_as_its_oldest_page(
    client, server, tmp_path
):
    first = client.subjects("0000")
    oldest = datetime(2020, 3, 1, tzinfo=UTC)
    [file] = (tmp_path / "cache").glob("*-page-2-*")
    record = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(record | {"retrieved": oldest.isoformat()}), encoding="utf-8")
    again = client.subjects("0000")
    pd.testing.assert_frame_equal(first, again)
    assert len(server.requests) == 3 and again.attrs["retrieved"] == oldest.isoformat()


def test_refresh_asks_again_and_keeps_the_new_answer(client, server):
    old = fetch(client)
    server.tables["0000", "624"]["last_update"] = "2026-01-02 03:04:05"
    assert fetch(client) == old
    new = fetch(client, refresh=True)
    assert b"2026-01-02" in new and not new.cached
    assert fetch(client) == new
    assert len(server.requests) == 2
    for call, count in ((client.subjects, 3), (client.variables, 1)):
        call("0000")
        server.requests.clear()
        call("0000", refresh=True)
        assert len(server.requests) == count


def test_a_refresh_that_fails_leaves_the_cache_as_it_was(client, server):
    old = fetch(client)
    server.faults = ["cut-off JSON"]
    with pytest.raises(bps.UnexpectedAnswer):
        fetch(client, refresh=True)
    assert fetch(client) == old


def test_two_addresses_do_not_share_answers(connect, server):
    fetch(connect())
    fetch(connect(base_url=server.address.replace("127.0.0.1", "localhost")))
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: "null",
        lambda text: text.replace("627100", "627101"),  # one figure of the body
        lambda text: text.replace("+00:00", "yesterday"),
        lambda text: text.replace('"retrieved"', '"lost"'),
        lambda text: text.replace("var/624", "var/192"),
        lambda text: "\udc80" + text,
    ],
)
def test_a_damaged_file_of_the_cache_is_fetched_anew(client, server, tmp_path, spoil):
    first = fetch(client)
    [file] = (tmp_path / "cache").iterdir()
    text = file.read_text(encoding="utf-8")
    spoilt = spoil(text)
    assert spoilt != text
    file.write_text(spoilt, encoding="utf-8", errors="surrogateescape")
    assert fetch(client) == first
    assert len(server.requests) == 2
    assert fetch(client).cached


def test_a_write_that_fails_leaves_nothing(client, server, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json, "dump", fail)
    with pytest.raises(bps.CacheNotWritable, match="cache .No space left on device.") as raised:
        fetch(client)
    assert_secret(raised.value)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_killed_write_leaves_no_half_file(client, server, tmp_path):
    """The process is killed in the middle of writing; only the hidden part may stay behind."""
    script = f"""
import json, os, signal
from analysis.bps import client
def half(record, file, **options):
    file.write(json.dumps(record)[:200])
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
json.dump = half
with client.Client(base_url={server.address!r}, cache={str(tmp_path / "cache")!r}) as c:
    c.dynamic_table("624", "0000", {PERIODS!r})
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | {"BPS_TOKEN": TOKEN}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert list((tmp_path / "cache").glob("*.json")) == []
    assert not fetch(client).cached
    assert fetch(client).cached
    assert_no_file_holds_the_token(tmp_path)


def test_a_folder_that_cannot_be_one_is_named(connect, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(bps.CacheNotWritable, match="file.*give another with cache="):
        fetch(connect(cache=tmp_path / "file"))


def test_the_cache_is_in_the_build_folder_unless_another_is_given():
    with bps.Client() as client:
        assert client.cache == paths.ROOT / "build" / "bps-cache"
        assert repr(client) == (
            "Client(base_url='https://webapi.bps.go.id/v1/api', cache='build/bps-cache')"
        )


# The token


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_token_comes_from_the_argument_before_the_environment(connect, server, monkeypatch):
    monkeypatch.setenv("BPS_TOKEN", "another-one")
    fetch(connect())
    assert server.requests[0].endswith(f"/key/{TOKEN}")


def test_the_token_comes_from_the_environment(connect, server, monkeypatch):
    monkeypatch.setenv("BPS_TOKEN", f" {TOKEN}\n")
    fetch(connect(token=None))
    assert server.requests[0].endswith(f"/key/{TOKEN}")


def test_the_token_is_asked_for_once_at_a_terminal(connect, server, monkeypatch, capfd):
    asked = []
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or TOKEN)
    client = connect(token=None)
    assert asked == []  # before it is needed
    fetch(client)
    client.domains()
    assert asked == ["Token of the BPS WebAPI (not shown): "]
    assert TOKEN not in repr(client) + str(vars(client)) + "".join(capfd.readouterr())


@pytest.mark.parametrize("given", ["", "  "])
def test_without_a_terminal_there_is_no_token(connect, server, monkeypatch, given):
    monkeypatch.setenv("BPS_TOKEN", given)
    monkeypatch.setattr(sys, "stdin", io.StringIO(TOKEN))
    monkeypatch.setattr("getpass.getpass", lambda _: pytest.fail("asked"))
    with pytest.raises(bps.NoToken, match="set the environment variable BPS_TOKEN") as raised:
        fetch(connect(token=None))
    assert "\n" not in str(raised.value) and server.requests == []


def test_a_terminal_that_would_echo_is_not_asked(connect, monkeypatch):
    import getpass

    monkeypatch.setattr(sys, "stdin", Terminal(TOKEN + "\n"))
    monkeypatch.setattr(getpass, "getpass", getpass.fallback_getpass)
    with pytest.raises(bps.NoToken):
        fetch(connect(token=None))
    assert sys.stdin.tell() == 0  # nothing was read


def test_an_end_of_input_is_no_token(connect, monkeypatch):
    def end(_):
        raise EOFError

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", end)
    with pytest.raises(bps.NoToken):
        fetch(connect(token=None))


@pytest.mark.parametrize(
    "token", ["short", "with/slash/0123456789", "two words 0123456789", "ä" * 32]
)
def test_what_cannot_be_a_token_is_not_sent(connect, server, token):
    with pytest.raises(bps.WrongToken, match="is none of the BPS WebAPI") as raised:
        fetch(connect(token=token))
    assert server.requests == []
    assert_secret(raised.value, token)


def test_the_token_of_another_is_refused(connect):
    other = "f" * 32
    with pytest.raises(bps.WrongToken) as raised:
        fetch(connect(token=other))
    assert_secret(raised.value, other)


def test_proxies_of_the_environment_are_used(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    monkeypatch.setenv("NO_PROXY", "localhost")
    assert "Proxy" in type(bps._transport(bps.BASE_URL)._pool).__name__
    monkeypatch.setenv("NO_PROXY", "webapi.bps.go.id")
    assert "Proxy" not in type(bps._transport(bps.BASE_URL)._pool).__name__


def test_a_compressed_answer_is_read(connect, server):
    body = server.answer(f"/v1/api/list/model/data/domain/0000/var/624/th/125/key/{TOKEN}")[2]
    packed = httpx.MockTransport(
        lambda _: httpx.Response(
            200, headers={"Content-Encoding": "gzip"}, content=gzip.compress(body)
        )
    )
    assert connect(transport=packed).dynamic_table("624", "0000", "125") == body
