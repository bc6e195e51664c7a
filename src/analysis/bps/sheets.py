"""The cells of a spreadsheet, by python-calamine.

An XLSX is a ZIP archive with checksums; an old XLS has none, and a damaged one can end the whole
process of the reader (an absurd length is an absurd allocation) instead of raising. Its structure
is therefore checked before (`analysis.bps.xls`), and it is read in a process of its own: this
file, run as a script.
"""

import io
import pickle
import subprocess
import sys
from typing import Any

Sheets = dict[str, tuple[list[list[Any]], list[tuple[tuple[int, int], tuple[int, int]]]]]

_PATIENCE_S = 10
_MEMORY_BYTES = 2 << 30


class DamagedSheet(ValueError):
    """The file is no spreadsheet that can be read as a whole."""


def read(content: bytes) -> Sheets:
    """Rows and merged ranges (first and last cell) of each sheet, by name.

    Raises
    ------
    DamagedSheet
        The reader refuses the file, or panics over it.
    """
    import python_calamine

    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
        sheets = [book.get_sheet_by_index(i) for i in range(len(book.sheet_names))]
        return {
            sheet.name: (sheet.to_python(skip_empty_area=False), sheet.merged_cell_ranges or [])
            for sheet in sheets
        }
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of the reader is no Exception
        raise DamagedSheet(" ".join(str(error).split())) from None


def read_apart(content: bytes) -> Sheets:
    """As `read` for an XLS: checked before, and read in a process of its own.

    Raises
    ------
    DamagedSheet
        As `read`; also if the process does not survive the file, or takes too long.
    """
    from analysis.bps import xls  # not needed by the script

    try:
        xls.check(content)
    except xls.DamagedXls as error:
        raise DamagedSheet(str(error)) from None
    try:
        done = subprocess.run(
            [sys.executable, __file__],
            input=content,
            capture_output=True,
            check=False,
            timeout=_PATIENCE_S,
        )
    except subprocess.TimeoutExpired:
        raise DamagedSheet(f"reading took over {_PATIENCE_S} seconds") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise DamagedSheet(lines[-1][:120] if lines else "the reader did not survive it")
    return pickle.loads(done.stdout)


def _limit_memory() -> None:
    """Refuse absurd allocations where the system can (not on Windows)."""
    try:
        import resource
    except ImportError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = _MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(_MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))


if __name__ == "__main__":
    _limit_memory()
    pickle.dump(read(sys.stdin.buffer.read()), sys.stdout.buffer)
