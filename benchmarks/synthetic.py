"""Measure `analysis.synthetic` at the size of Jakarta against what the project promises.

``make bench``; time and peak memory are those of fresh processes.
"""

import subprocess
import sys
import tempfile

CHILD = """
import resource, sys, time
start = time.perf_counter()
from analysis import synthetic
loaded = time.perf_counter()
{call}
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(f"{{time.perf_counter() - loaded:.1f}} s after {{loaded - start:.1f}} s of imports, "
      f"processor {{time.process_time():.1f}} s in all, peak {{peak:.2f}} GiB, "
      f"{{rows:,}} households", end="")
"""
MAKE = "made = synthetic.city({options}); rows = len(made.census)"
SAMPLE = "; survey = synthetic.survey(made, made.periods[-1])"
WRITE = """import pyarrow.parquet as pq
synthetic.write({folder!r})
rows = pq.read_metadata({folder!r} + "/census.parquet").num_rows"""


def measured(label: str, promised: str, call: str) -> None:
    """Run in a process of its own, and print what it took."""
    command = [sys.executable, "-c", CHILD.format(call=call)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    print(f"{label}: {done.stdout}{f' (promised: {promised})' if promised else ''}")


def main() -> None:
    for edition in ("regular", "misspecified"):
        call = MAKE.format(options=f"{edition!r}") + SAMPLE
        measured(f"all of Jakarta, {edition}, two periods, a survey", "20 s, 3 GiB", call)
    measured("the small edition", "", MAKE.format(options="size='small'") + SAMPLE)
    with tempfile.TemporaryDirectory() as folder:
        measured("all of Jakarta, written to Parquet", "", WRITE.format(folder=folder))


if __name__ == "__main__":
    main()
