"""Measure the poverty map: whether its intervals hold the truth, and time and memory at full size.

``make bench``. The cities are synthetic; the coverage of the misspecified edition is what it is.
"""

import resource
import time

from analysis import poverty_map, synthetic

PERIOD, SEEDS, REPLICATES = "2021-03", 20, 100


def main() -> None:
    small = poverty_map.trials(range(SEEDS), PERIOD, replicates=REPLICATES)
    print(poverty_map.coverage(small).round(2).to_string(index=False))
    start = time.perf_counter()
    full = poverty_map.trial(synthetic.REGULAR, synthetic.FULL, PERIOD, 0, 200)
    took = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"full size, both levels, B = 200, the city included: {took:.0f} s, {peak:.1f} GiB")
    print(poverty_map.coverage(full).round(2).to_string(index=False))


if __name__ == "__main__":
    main()
