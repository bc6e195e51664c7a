"""Files of microdata as relations of DuckDB, whatever their format.

CSV and Parquet are scanned where they are, so that they may be larger than memory. Of DBF, Stata
and SPSS the mapped columns are read into memory. No message repeats what a reader says of a file:
readers quote the lines of persons.
"""

import csv
import gzip
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pyreadstat

from analysis.microdata.columns import MicrodataError
from analysis.microdata.mapping import Part

# DuckDB knows these and Latin-1 without an extension. For codes, which are ASCII, Latin-1 does for
# all other encodings of one byte.
_ENCODINGS = ("utf-8", "utf-16")
_SINGLE_LIMIT = 2**24  # whole numbers beyond it are not exact in single precision


@contextmanager
def connection(memory: str | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory. What it spills goes to the system's temporary folder, then away."""
    spill = tempfile.mkdtemp(prefix="microdata-")
    config = {
        "temp_directory": spill,
        # Nothing is fetched from anywhere.
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "preserve_insertion_order": False,
    }
    if memory:
        config["memory_limit"] = memory
    try:
        with duckdb.connect(":memory:", config=config) as con:
            # In Jupyter without ipywidgets it is off already, and setting it is an error.
            if con.execute("SELECT current_setting('enable_progress_bar')").fetchall()[0][0]:
                con.execute("SET enable_progress_bar = false")
            yield con
    finally:
        shutil.rmtree(spill, ignore_errors=True)


def quoted(name: str) -> str:
    """A column as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def columns(part: Part) -> list[str]:
    """The names of a file's columns, from its head only.

    Raises
    ------
    MicrodataError
        The file is missing or is not what its format says; without the place in the mapping.
    """
    if not part.file.is_file():
        raise MicrodataError(
            f"there is no file {part.file.name} in {part.file.parent}: correct the name"
        )
    with _readable(part):
        if part.format == "csv":
            return _csv_head(part)[0]
        if part.format == "parquet":
            return pq.read_schema(part.file).names
        if part.format == "dbf":
            return list(pyogrio.read_info(part.file)["fields"])
        return list(_statistical(part, metadataonly=True)[1].column_names)


def relation(con: duckdb.DuckDBPyConnection, part: Part, name: str, used: list[str]) -> str:
    """What stands for the file in a FROM clause, with at least the ``used`` columns.

    Raises
    ------
    MicrodataError
        The file is not what its format says, or holds codes that are not exact.
    """
    if part.format == "csv":
        head, delimiter = _csv_head(part)
        encoding = part.encoding or "utf-8"
        encoding = encoding if encoding in _ENCODINGS else "latin-1"
        typed = ", ".join(f"{literal(c)}: 'VARCHAR'" for c in head)
        return (
            f"read_csv({literal(str(part.file))}, auto_detect = false, header = true, "
            f"delim = {literal(delimiter)}, quote = '\"', escape = '\"', "
            f"encoding = '{encoding}', columns = {{{typed}}})"
        )
    if part.format == "parquet":
        return f"read_parquet({literal(str(part.file))})"
    with _readable(part):
        if part.format == "dbf":
            # What the file says has to be handed over, or bytes come as they are.
            encoding = part.encoding or pyogrio.read_info(part.file)["encoding"]
            _, table = pyogrio.read_arrow(
                part.file, columns=used, read_geometry=False, encoding=encoding
            )
        else:
            frame, meta = _statistical(part, usecols=used)
            single = [c for c in used if meta.readstat_variable_types.get(c) == "float"]
            inexact = [c for c in single if frame[c].abs().max() >= _SINGLE_LIMIT]
            if inexact and set(inexact) & {n.name for n in part.id}:
                raise MicrodataError(
                    f"{', '.join(inexact)} of {part.file.name} is stored in single precision, "
                    "which does not hold numbers of this length: save it again as double or text"
                )
            table = pa.Table.from_pandas(frame, preserve_index=False)
    con.register(name, table)
    return name


def says_synthetic(part: Part) -> bool:
    """Whether a Parquet file carries the mark of simulated data (``attrs["synthetic"]``)."""
    if part.format != "parquet":
        return False
    attributes = (pq.read_schema(part.file).metadata or {}).get(b"PANDAS_ATTRS", b"")
    return re.search(rb'"synthetic": *true', attributes) is not None


@contextmanager
def _readable(part: Part) -> Iterator[None]:
    try:
        yield
    except (MicrodataError, MemoryError):
        raise
    except UnicodeDecodeError:
        raise MicrodataError(
            f"{part.file.name} is not in encoding {part.encoding or 'utf-8'}: add "
            "'encoding: latin-1' or another"
        ) from None
    except Exception as error:  # each reader has its own kinds
        raise MicrodataError(
            f"{part.file.name} cannot be read as {part.format} ({type(error).__name__}): "
            "correct the format, or export the file again"
        ) from None


def _statistical(part: Part, **options):
    read = pyreadstat.read_dta if part.format == "stata" else pyreadstat.read_sav
    return read(
        str(part.file),
        encoding=part.encoding,
        disable_datetime_conversion=True,
        apply_value_formats=False,
        **options,
    )


def _csv_head(part: Part) -> tuple[list[str], str]:
    """Column names and delimiter; not left to a sniffer, which may take a data row for a head."""
    encoding = part.encoding or "utf-8"
    encoding = "utf-8-sig" if encoding == "utf-8" else encoding
    opened = gzip.open if part.file.suffix.lower() == ".gz" else Path.open
    with opened(part.file, "rt", encoding=encoding, newline="") as file:
        line = file.readline()
    delimiter = max(",;\t|", key=line.count)
    names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    if not names or len(set(names)) < len(names) or "" in names:
        raise MicrodataError(
            f"the first line of {part.file.name} should hold the names of the columns, each once"
        )
    return names, delimiter
