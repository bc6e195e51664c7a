"""Measure what the README states: set-up, reports and tests in fresh clones, and their bytes.

Clones the committed state twice into a temporary folder, runs `make reports` in one and
`make test` in the other, then times a no-op and a second clean build, and compares the PDFs.
Takes about ten minutes; `make bench`.
"""

import hashlib
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def timed(folder: Path, *command: str) -> float:
    """Seconds that a command takes in a folder; it must succeed."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("ANALYSIS_", "MAKE"))}
    # The Python that made this environment, not the environment itself.
    own = Path(sys.prefix, "bin")
    environment["PATH"] = os.pathsep.join(
        part for part in environment["PATH"].split(os.pathsep) if Path(part) != own
    )
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return time.perf_counter() - start


def checksums(folder: Path) -> dict[str, str]:
    return {
        pdf.name: hashlib.sha256(pdf.read_bytes()).hexdigest()
        for pdf in sorted((folder / "reports").glob("*.pdf"))
    }


def main() -> None:
    base = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")
    python = f"PYTHON={base if base.exists() else sys.executable}"
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder, "first"), Path(folder, "second")
        for clone in (first, second):
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        figures = {
            "set-up (environment and boundaries)": timed(first, "make", "boundaries", python)
        }
        figures["make reports, after set-up"] = timed(first, "make", "reports", python)
        before = checksums(first)
        figures["make reports again (nothing to do)"] = timed(first, "make", "reports", python)
        timed(first, "make", "clean")
        figures["make -j2 reports, after set-up"] = timed(first, "make", "-j2", "reports", python)
        same = before == checksums(first) and len(before) >= 3
        timed(second, "make", "boundaries", python)
        figures["make test, after set-up"] = timed(second, "make", "test", python)
        second_build = timed(second, "make", "reports", python)
        same = same and before == checksums(second)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}")
    for name, seconds in figures.items():
        print(f"{name:40s} {seconds:7.1f} s")
    print(f"{'make reports in the other clone':40s} {second_build:7.1f} s")
    print(f"PDFs of three clean builds are {'the same bytes' if same else 'DIFFERENT'}")


if __name__ == "__main__":
    main()
