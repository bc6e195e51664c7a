"""The WebAPI of BPS (https://webapi.bps.go.id): lists, dynamic tables and static tables.

A `Client` asks politely, tries again where that can help, keeps every good answer in a cache with
the date of its retrieval, and names each way to fail by a class of its own (all are `BpsError`).

The token is part of the address of every request. So that it cannot get into a log, an error or a
cache file, the requests that the HTTP library sees, logs and hangs on its exceptions do not have
it: a transport adds it at the last moment, and errors are raised without the library's own.
"""

import getpass
import hashlib
import json
import logging
import os
import re
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pandas as pd
import tenacity

from analysis import paths

BASE_URL = "https://webapi.bps.go.id/v1/api"
REGISTRATION = "https://webapi.bps.go.id/developer"
TOKEN_VARIABLE = "BPS_TOKEN"
NATIONAL = "0000"  # the domain of the national site

# BPS's firewall turns away the usual names of HTTP libraries with an HTML page.
_AGENT = "Mozilla/5.0 (compatible; jakarta-poverty-analysis)"
_LONGEST_WAIT_S = 60  # a longer Retry-After is told to the user instead of waited for
_LOGGERS = ("httpx", *(f"httpcore.{part}" for part in ("connection", "http11", "proxy", "socks")))
# Periods in one request for a dynamic table. Not documented; a larger number is refused.
_PERIODS, _PERIODS_NATIONAL = 2, 3
# What BPS says of a token ("Please re-check your key"), but not of an address with "/key/" in it.
_OF_TOKEN = re.compile(
    r"not allowed|check your key|(invalid|wrong|missing)[ a-z]* (key|token)|\bapp ?id\b", re.I
)

# Fields of the lists -> our columns; an item without the first two is none of this list.
_DOMAIN = {"domain_id": "domain_code", "domain_name": "domain", "domain_url": "address"}
_SUBJECT = {
    "sub_id": "subject_id",
    "title": "subject",
    "subcat_id": "category_id",
    "subcat": "category",
}
_VARIABLE = {
    "var_id": "variable_id",
    "title": "variable",
    "unit": "unit",
    "sub_id": "subject_id",
    "sub_name": "subject",
    "def": "definition",
    "notes": "notes",
}
_PERIOD = {"th_id": "period_id", "th": "period"}
_STATIC_TABLE = {
    "table_id": "table_id",
    "title": "title",
    "subj_id": "subject_id",
    "subj": "subject",
    "updt_date": "date_updated",
    "excel": "address",
}


class BpsError(RuntimeError):
    """Something could not be had from BPS."""


class NoToken(BpsError):
    """There is no token, and nobody to ask for one."""


class WrongToken(BpsError):
    """BPS refuses the token, or it cannot be one."""


class NotFound(BpsError):
    """BPS has no such variable or domain."""


class NotAvailable(BpsError):
    """BPS knows what is asked for but has no data ('list-not-available')."""


class TooManyPeriods(BpsError):
    """More periods in one request than BPS allows (see `Client.dynamic_tables`)."""


class UnexpectedAnswer(BpsError):
    """The answer is no JSON (an HTML page, a cut-off file) or has another shape."""


class CacheNotWritable(BpsError):
    """The answer arrived but cannot be kept."""


class _Passing(BpsError):
    """Worth another attempt, after ``wait_s`` at least."""

    def __init__(self, message: str, wait_s: float = 0):
        super().__init__(message)
        self.wait_s = wait_s


class NetworkDown(_Passing):
    """BPS cannot be reached, even after several attempts."""


class BpsServerError(_Passing):
    """BPS cannot answer now (HTTP 429 or 5xx), even after several attempts."""


class Answer(bytes):
    """The body of an answer as it was sent, and where and when it was retrieved.

    Attributes
    ----------
    address
        Address of the request, without the token.
    retrieved
        When it was retrieved (UTC).
    cached
        Whether it comes from the cache.
    """

    address: str
    retrieved: datetime
    cached: bool

    def __new__(cls, body: bytes, address: str, retrieved: datetime, cached: bool) -> "Answer":
        answer = super().__new__(cls, body)
        answer.address, answer.retrieved, answer.cached = address, retrieved, cached
        return answer


class Client:
    """A client of the WebAPI; use it in a ``with`` statement, or `close` it.

    Parameters
    ----------
    token
        Token of the WebAPI; else that of the environment variable ``BPS_TOKEN``; else it is asked
        for, without echo, if there is a terminal. It is not looked for before it is needed:
        what the cache has can be had without a token.
    base_url
        Address of the WebAPI.
    cache
        Folder of the cache, ``build/bps-cache`` if not given. An answer stays until it is asked
        for with ``refresh=True``.
    pause_s
        Least time between two requests, in seconds.
    attempts
        How often a request is made at most, where BPS cannot be reached or cannot answer now.
    timeout_s
        How long to wait for the connection, and for each part of an answer.
    backoff_s
        The wait before the second attempt; it doubles with each one, and varies a little.
    transport
        Another transport of httpx, for tests.

    Notes
    -----
    Every method that asks BPS takes ``refresh`` (do not use the cache) and raises a `BpsError`:
    `NoToken`, `WrongToken`, `NotFound`, `NotAvailable`, `NetworkDown`, `BpsServerError`,
    `UnexpectedAnswer` or `CacheNotWritable`. Lists come with all their pages, every column as
    text as published, and ``attrs["retrieved"]``: when the oldest page was retrieved (UTC).
    """

    def __init__(
        self,
        token: str | None = None,
        *,
        base_url: str = BASE_URL,
        cache: str | os.PathLike | None = None,
        pause_s: float = 0.5,
        attempts: int = 4,
        timeout_s: float = 30,
        backoff_s: float = 1,
        transport: httpx.BaseTransport | None = None,
    ):
        self._token = _Token(token)
        del token  # no frame of ours that a traceback may show holds it
        self.base_url = base_url.rstrip("/")
        self.cache = Path(cache) if cache else paths.ROOT / "build" / "bps-cache"
        self._pause_s = pause_s
        self._not_before = 0.0
        backoff = tenacity.wait_exponential(backoff_s, _LONGEST_WAIT_S) + tenacity.wait_random(
            0, backoff_s
        )
        self._retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(attempts),
            wait=lambda state: max(backoff(state), state.outcome.exception().wait_s),
            retry=tenacity.retry_if_exception(
                lambda error: isinstance(error, _Passing) and error.wait_s <= _LONGEST_WAIT_S
            ),
            reraise=True,
        )
        self._http = httpx.Client(
            transport=_AddToken(transport or _transport(self.base_url), self._token),
            headers={"User-Agent": _AGENT, "Accept": "application/json"},
            timeout=timeout_s,
        )
        # A server may send the address of the request back, in a redirect for instance.
        self._hide = _Hide(self._token)
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(self._hide)

    def __repr__(self) -> str:
        return f"Client(base_url={self.base_url!r}, cache={paths.shown(self.cache)!r})"

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the client cannot ask any more."""
        self._http.close()
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self._hide)

    def domains(self, *, refresh: bool = False) -> pd.DataFrame:
        """The sites of BPS: national, provinces, kabupaten and kota.

        Columns ``domain_code`` (``3100`` is DKI Jakarta), ``domain``, ``address``.
        """
        return self._list("domain/type/all", _DOMAIN, "the list of domains", refresh, paged=False)

    def subjects(self, domain: str, *, refresh: bool = False) -> pd.DataFrame:
        """The subjects of a domain: ``subject_id``, ``subject``, ``category_id``, ``category``."""
        domain = _domain(domain)
        path = f"list/model/subject/domain/{domain}"
        return self._list(path, _SUBJECT, f"subjects of domain {domain}", refresh)

    def variables(
        self, domain: str, subject: str | None = None, *, refresh: bool = False
    ) -> pd.DataFrame:
        """The variables (dynamic tables) of a domain, of one subject or of all.

        Columns ``variable_id``, ``variable``, ``unit``, ``subject_id``, ``subject``,
        ``definition``, ``notes``. All variables of the national domain are some 180 requests.
        """
        domain = _domain(domain)
        path, what = f"list/model/var/domain/{domain}", f"variables of domain {domain}"
        if subject is not None:
            subject = _id(subject, "subject")
            path, what = f"{path}/subject/{subject}", f"{what}, subject {subject}"
        return self._list(path, _VARIABLE, what, refresh)

    def periods(self, variable: str, domain: str, *, refresh: bool = False) -> pd.DataFrame:
        """The periods of a variable: ``period_id`` (``125``), ``period`` (``2025``)."""
        variable, domain = _id(variable, "variable"), _domain(domain)
        path = f"list/model/th/domain/{domain}/var/{variable}"
        what = f"periods of variable {variable}, domain {domain}"
        try:
            return self._list(path, _PERIOD, what, refresh)
        except NotAvailable:
            raise NotFound(
                f"variable {variable} is not found in domain {domain}: "
                f"see Client.variables({domain!r}) for those there are"
            ) from None

    def static_tables(self, domain: str, *, refresh: bool = False) -> pd.DataFrame:
        """The static tables of a domain.

        Columns ``table_id``, ``title``, ``subject_id``, ``subject``, ``date_updated`` and
        ``address`` (of the spreadsheet).
        """
        domain = _domain(domain)
        path = f"list/model/statictable/lang/ind/domain/{domain}"
        return self._list(path, _STATIC_TABLE, f"static tables of domain {domain}", refresh)

    def dynamic_table(
        self, variable: str, domain: str, periods: str | Iterable[str], *, refresh: bool = False
    ) -> Answer:
        """The JSON of a dynamic table as it was sent.

        Parameters
        ----------
        variable
            Identifier of the variable (see `variables`).
        domain
            Code of the domain.
        periods
            Identifiers of periods (``125``, see `periods`), one or several.

        Returns
        -------
        Answer
            The bytes, with ``address`` and ``retrieved``.

        Raises
        ------
        NotFound
            The domain has no such variable.
        NotAvailable
            It has, but nothing for these periods; the message names those there are.
        TooManyPeriods
            Three at once is the most of the national domain, two of the others.
        """
        variable, domain = _id(variable, "variable"), _domain(domain)
        asked = _periods(periods)
        path = f"list/model/data/domain/{domain}/var/{variable}/th/{';'.join(asked)}"
        what = f"variable {variable} of domain {domain}, periods {', '.join(asked)}"
        try:
            answer, content = self._get(path, what, refresh)
        except NotAvailable:
            # BPS says the same of a variable that does not exist: its periods tell.
            there = self.periods(variable, domain, refresh=refresh)
            named = ", ".join(f"{row.period_id} ({row.period})" for row in there.itertuples())
            raise NotAvailable(f"BPS has no data for {what}: it has periods {named}") from None
        described = content.get("var")
        if (
            not isinstance(content.get("datacontent"), dict | list)
            or not isinstance(described, list)
            or [str(v.get("val")) for v in described if isinstance(v, dict)] != [variable]
        ):
            raise self._unexpected(what, "has not the shape of a dynamic table")
        self._keep(answer)
        return answer

    def dynamic_tables(
        self, variable: str, domain: str, periods: Iterable[str], *, refresh: bool = False
    ) -> list[Answer]:
        """As `dynamic_table`, for any number of periods: as many answers as BPS makes of them."""
        asked = _periods(periods)
        most = _PERIODS_NATIONAL if domain == NATIONAL else _PERIODS
        return [
            self.dynamic_table(variable, domain, asked[first : first + most], refresh=refresh)
            for first in range(0, len(asked), most)
        ]

    def static_table(self, table_id: str, domain: str, *, refresh: bool = False) -> Answer:
        """The JSON of a static table as it was sent; ``data.table`` in it is (escaped) HTML."""
        table_id, domain = _id(table_id, "static table"), _domain(domain)
        path = f"view/model/statictable/lang/ind/domain/{domain}/id/{table_id}"
        what = f"static table {table_id} of domain {domain}"
        answer, content = self._get(path, what, refresh)
        data = content.get("data")
        if not isinstance(data, dict) or not isinstance(data.get("table"), str):
            raise self._unexpected(what, "has not the shape of a static table")
        self._keep(answer)
        return answer

    def _list(
        self,
        path: str,
        columns: Mapping[str, str],
        what: str,
        refresh: bool,
        paged: bool = True,
    ) -> pd.DataFrame:
        """All pages of a list as a table of text."""
        needed = set(list(columns)[:2])
        items, answers, page, pages, total = [], [], 1, 1, None
        while page <= pages:
            this = f"{path}/page/{page}" if paged else path
            try:
                answer, content = self._get(this, what, refresh)
            except NotAvailable:
                if page == 1:
                    raise
                content = {}  # the list has become shorter meanwhile
            match content.get("data"):
                case [{"page": int(number), "pages": int(last)} as head, [*found]] if (
                    number == page
                    and all(isinstance(item, dict) and needed <= item.keys() for item in found)
                ):
                    pages, total = (last if paged else 1), head.get("total")
                case _:
                    raise self._unexpected(what, f"has not the shape of a list (page {page})")
            items += found
            answers.append(answer)
            page += 1
        # An entry that is inserted meanwhile moves another one from page to page.
        if isinstance(total, int) and total != len(items):
            raise self._unexpected(
                what, f"has {len(items)} entries instead of {total} (did it change meanwhile?)"
            )
        for answer in answers:
            self._keep(answer)
        text = {
            column: [None if item.get(field) is None else str(item[field]) for item in items]
            for field, column in columns.items()
        }
        table = pd.DataFrame(text, dtype="str")
        # As text, because pandas writes attributes to Parquet as JSON.
        table.attrs["retrieved"] = min(answer.retrieved for answer in answers).isoformat()
        return table

    def _get(self, path: str, what: str, refresh: bool) -> tuple[Answer, dict]:
        """An answer from the cache or from BPS, and its content; it is not yet kept."""
        address = f"{self.base_url}/{path}"
        answer = None if refresh else self._kept(address)
        if answer is None:
            response = self._retrying(self._ask, address)
            body = self._token.hidden_in(response.content)
            now = datetime.now(UTC).replace(microsecond=0)
            return Answer(body, address, now, False), self._content(
                body, response.status_code, what
            )
        return answer, json.loads(answer.decode("utf-8-sig"))

    def _ask(self, address: str) -> httpx.Response:
        """One attempt. It raises outside of ``except``, so that no other error hangs on its own."""
        self._token.find()
        time.sleep(max(0.0, self._not_before - time.monotonic()))
        attempt = self._retrying.statistics["attempt_number"]
        attempts = f"{attempt} attempt{'s' if attempt > 1 else ''}"
        try:
            response, problem = self._http.get(address), None
        except httpx.TransportError as error:
            problem = NetworkDown(
                f"BPS cannot be reached after {attempts} "
                f"({type(error).__name__}: {self._token.hidden(_line(error))}): "
                f"check the network and that {self.base_url} is up, then try again"
            )
        except httpx.DecodingError:
            problem = self._unexpected("an answer", "is compressed in a damaged way")
        finally:
            self._not_before = time.monotonic() + self._pause_s
        if problem is None and (response.status_code == 429 or response.status_code >= 500):
            wait_s = _retry_after_s(response)
            why = "is asked too often" if response.status_code == 429 else "cannot answer now"
            later = f"in {wait_s:.0f} s" if wait_s else "later"
            problem = BpsServerError(
                f"BPS {why} (HTTP {response.status_code}) after {attempts}: try again {later}",
                wait_s,
            )
        if problem is not None:
            raise problem
        return response

    def _content(self, body: bytes, status: int, what: str) -> dict:
        """The JSON of an answer that says OK; raises the error of any other answer.

        The body comes without the token, so that messages may quote it.
        """
        if 300 <= status < 400:
            raise self._unexpected(what, "leads to another address", status)
        try:
            content = json.loads(body.decode("utf-8-sig"))
        except ValueError:  # of JSON, or of UTF-8
            if status == 401:
                raise _wrong_token() from None
            start = body[:500].lstrip(b"\xef\xbb\xbf\r\n\t ").lower()
            if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
                kind = "is an HTML page"
                if b"waf" in body[:2000].lower() or status == 403:
                    kind += " of BPS's firewall (it also sends one for a token that cannot be one)"
            elif not start:
                kind = "is empty"
            elif start.startswith((b"{", b"[")):
                kind = "is damaged or cut-off JSON"
            else:
                kind = "is no JSON"
            raise self._unexpected(what, kind, status) from None
        if content is None:
            kind = "is 'null', as BPS answers for tables that are too large: ask for fewer periods"
            raise self._unexpected(what, kind, status)
        if not isinstance(content, dict) or "status" not in content:
            raise self._unexpected(what, "has no status", status)
        message = _line(content.get("message") or "")
        if str(content["status"]).upper() == "OK" and status < 400:
            available = str(content.get("data-availability", "available"))
            if available == "available":
                return content
            raise NotAvailable(f"BPS has no data for {what} ({available})")
        if status in (401, 403) or _OF_TOKEN.search(message):
            raise _wrong_token()
        if "number of years" in message:
            raise TooManyPeriods(
                f"BPS refuses {what} ({message}): ask for fewer at once, "
                f"or use Client.dynamic_tables"
            )
        if "not-available" in str(content.get("data-availability")):
            raise NotAvailable(f"BPS has no data for {what} ({message or 'not available'})")
        if status == 404 or re.search(r"not found|tidak ditemukan|not exist", message, re.I):
            raise NotFound(
                f"BPS does not find {what} ({message or f'HTTP {status}'}): "
                f"check the codes with Client.domains and Client.variables"
            )
        raise self._unexpected(what, f"is an error ({message or 'without a message'})", status)

    def _unexpected(self, what: str, problem: str, status: int = 200) -> UnexpectedAnswer:
        told = f" (HTTP {status})" if status != 200 else ""
        return UnexpectedAnswer(
            f"the answer of {self.base_url} for {what} {problem}{told}: "
            f"try again later; if it stays so, the WebAPI has changed"
        )

    def _file(self, address: str) -> Path:
        digest = hashlib.sha256(address.encode()).hexdigest()[:16]
        told = re.sub(r"[^A-Za-z0-9]+", "-", address.removeprefix(self.base_url)).strip("-")
        return self.cache / f"{told[:100]}-{digest}.json"

    def _kept(self, address: str) -> Answer | None:
        """The answer in the cache; None if there is none, or it is damaged in any way."""
        try:
            kept = json.loads(self._file(address).read_text(encoding="utf-8"))
            body = kept["body"].encode()
            if kept["address"] != address or kept["sha256"] != hashlib.sha256(body).hexdigest():
                return None
            return Answer(body, address, datetime.fromisoformat(kept["retrieved"]), True)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def _keep(self, answer: Answer) -> None:
        """Put an answer into the cache: all of it or nothing, whatever happens meanwhile."""
        if answer.cached:
            return
        record = {
            "address": answer.address,
            "retrieved": answer.retrieved.isoformat(),
            "sha256": hashlib.sha256(answer).hexdigest(),
            "body": answer.decode(),
        }
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=self.cache)
            temporary = Path(name)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as opened:
                    json.dump(record, opened, ensure_ascii=False, indent=1)
                temporary.replace(self._file(answer.address))
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise CacheNotWritable(
                f"the answer cannot be kept in {paths.shown(self.cache)} ({error.strerror}): "
                f"make the folder writable or give another with cache="
            ) from None


class _Token:
    """The token: looked for when first needed, and never shown."""

    def __init__(self, given: str | None):
        self._text = given

    def __repr__(self) -> str:
        return "<token>"

    def __reduce__(self):
        raise TypeError("the token of the BPS WebAPI is not written anywhere: make a new Client")

    def find(self) -> None:
        """See that there is one; raises `NoToken` or `WrongToken`."""
        if self._text is None:
            self._text = os.environ.get(TOKEN_VARIABLE, "").strip() or None
        if self._text is None:
            self._text = _prompted()
        self._text = self._text.strip()
        if not re.fullmatch(r"[A-Za-z0-9_-]{8,}", self._text):
            raise WrongToken(
                "the token given is none of the BPS WebAPI (letters and digits, at least 8): "
                f"copy it again from {REGISTRATION}"
            )

    def path(self) -> bytes:
        return b"/key/" + self._text.encode()

    def hidden(self, text: str) -> str:
        """A text without the token."""
        return text.replace(self._text, "***") if self._text else text

    def hidden_in(self, body: bytes) -> bytes:
        """A body without the token."""
        return body.replace(self._text.encode(), b"***") if self._text else body


class _AddToken(httpx.BaseTransport):
    """Adds the token to a request that the rest of httpx has seen without it."""

    def __init__(self, transport: httpx.BaseTransport, token: _Token):
        self._transport, self._token = transport, token

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._transport.handle_request(
            httpx.Request(
                request.method,
                request.url.copy_with(raw_path=request.url.raw_path + self._token.path()),
                headers=request.headers,
                extensions=request.extensions,
            )
        )

    def close(self) -> None:
        self._transport.close()


class _Hide(logging.Filter):
    """Takes the token out of log records."""

    def __init__(self, token: _Token):
        super().__init__()
        self._token = token

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if (hidden := self._token.hidden(message)) != message:
            record.msg, record.args = hidden, None
        return True


def _transport(base_url: str) -> httpx.HTTPTransport:
    """A transport through the proxy of the environment, as httpx has it by default."""
    url = httpx.URL(base_url)
    proxy = None if urllib.request.proxy_bypass(url.host) else urllib.request.getproxies()
    return httpx.HTTPTransport(proxy=(proxy or {}).get(url.scheme))


def _prompted() -> str:
    cure = (
        f"register at {REGISTRATION}, then set the environment variable {TOKEN_VARIABLE} "
        f"(in a notebook: Client(token=getpass.getpass()))"
    )
    entered = ""
    if sys.stdin is not None and sys.stdin.isatty():
        with warnings.catch_warnings():
            # getpass warns where it cannot switch off the echo, and would go on with it.
            warnings.simplefilter("error", getpass.GetPassWarning)
            try:
                entered = getpass.getpass("Token of the BPS WebAPI (not shown): ").strip()
            except (getpass.GetPassWarning, EOFError):
                entered = ""
    if not entered:
        raise NoToken(f"no token of the BPS WebAPI: {cure}")
    return entered


def _wrong_token() -> WrongToken:
    return WrongToken(
        f"BPS refuses the token: compare {TOKEN_VARIABLE} with the one shown at {REGISTRATION}"
    )


def _domain(code: str) -> str:
    if not re.fullmatch(r"[0-9]{4}", str(code)):
        raise NotFound(f"domain {code!r} is no code of 4 digits: see Client.domains()")
    return str(code)


def _id(identifier: str, what: str) -> str:
    if not re.fullmatch(r"[0-9]+", str(identifier)):
        raise NotFound(f"{what} {identifier!r} is not found: identifiers of BPS are numbers")
    return str(identifier)


def _periods(periods: str | Iterable[str]) -> list[str]:
    """Identifiers of periods, each once, in order, so that the cache knows them again."""
    periods = [periods] if isinstance(periods, str | int) else periods
    asked = {_id(period, "period") for period in periods}
    if not asked:
        raise NotAvailable("no periods are asked for: see Client.periods for those there are")
    return sorted(asked, key=int)


def _retry_after_s(response: httpx.Response) -> float:
    """Seconds that a server asks to wait; 0 if it does not, or in no known way."""
    told = response.headers.get("Retry-After", "").strip()
    if told.isdecimal():
        return float(told)
    try:
        return max(0.0, (parsedate_to_datetime(told) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _line(text: object) -> str:
    """A text of others in one short line."""
    return " ".join(str(text).split())[:200]
