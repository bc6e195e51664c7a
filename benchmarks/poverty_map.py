"""Measure the poverty map: whether its intervals hold the truth, and time and memory at full size.

``make bench``. The cities are synthetic; the coverage of the misspecified edition is what it is.
"""

import resource
import time

import pandas as pd

from analysis import households, poverty_map, synthetic

PERIOD, SEEDS, REPLICATES = "2021-03", 20, 100


def inputs(edition: str, size: str, seed: int) -> tuple[synthetic.City, pd.DataFrame, pd.DataFrame]:
    city = synthetic.city(edition, size, seed)
    codes = dict.fromkeys(["kota_code", "kecamatan_code", "kelurahan_code"], str)
    lines = city.lines[city.lines["period"] == PERIOD][["kota_code", "poverty_line_rp"]]
    survey = synthetic.survey(city, PERIOD, seed).astype(codes).merge(lines, on="kota_code")
    person = survey["expenditure_rp"] / survey["household_size"]
    survey["welfare"] = person / survey["poverty_line_rp"]
    survey["poor"] = survey["welfare"] < 1
    return city, survey, city.census.astype(codes).assign(count=1)


def mapped(edition: str, size: str, seed: int, replicates: int) -> pd.DataFrame:
    city, survey, census = inputs(edition, size, seed)
    truth = city.truth[city.truth["period"] == PERIOD]
    compared = households.against_official(survey, households.official(PERIOD))
    official = poverty_map.official(compared)
    parts = []
    for level in (poverty_map.KECAMATAN, poverty_map.KELURAHAN):
        made = poverty_map.estimate(
            survey,
            census,
            official,
            synthetic.COVARIATES,
            level=level,
            period=PERIOD,
            replicates=replicates,
            seed=seed,
        )
        parts.append(poverty_map.against_truth(made.areas, truth, level).assign(level=level))
    return pd.concat(parts)


def told(areas: pd.DataFrame) -> str:
    words = []
    for level, own in areas.groupby("level"):
        off = ((own["p0_pct"] - own["true_p0_pct"]) ** 2).mean() ** 0.5
        said = (own["rmse_points"] ** 2).mean() ** 0.5
        words.append(
            f"{level} {100 * own['covered'].mean():.1f} % (RMSE {off:.2f} points, said {said:.2f})"
        )
    return ", ".join(words)


def main() -> None:
    for edition in synthetic.EDITIONS:
        cities = [mapped(edition, synthetic.SMALL, seed, REPLICATES) for seed in range(SEEDS)]
        print(f"95 % intervals, {SEEDS} small cities, {edition}: {told(pd.concat(cities))}")
    start = time.perf_counter()
    full = mapped(synthetic.REGULAR, synthetic.FULL, 0, 200)
    took = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"full size, both levels, B = 200, the city included: {took:.0f} s, {peak:.1f} GiB")
    print(f"95 % intervals there: {told(full)}")


if __name__ == "__main__":
    main()
