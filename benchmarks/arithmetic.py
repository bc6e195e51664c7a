"""Measure the simulation of the arithmetic and the forecasts against what the project promises.

``make bench``; needs the processed tables (`make tables`).
"""

import time

from timing import best_of

from analysis import arithmetic, assumptions, forecast, poverty, sources, tables, target


def main() -> None:
    series = tables.read("poverty_semester")
    inputs = assumptions.read()
    base = arithmetic.baseline(series, "31", "2017-09")
    took = best_of(3, lambda: arithmetic.simulate(base, inputs, 1.0, draws=50_000))
    print(f"50,000 draws of the arithmetic, three ways and two fits: {took:.2f} s (promised: 2)")
    took = best_of(
        3, lambda: arithmetic.sensitivity(base, inputs, 1.0, arithmetic.GAP, "jobs", "jobs")
    )
    print(f"Sobol indices of one way (18,432 runs): {took:.2f} s")

    scenarios, priors = sources.read("survey_error"), assumptions.of(inputs, "forecast")
    aim = target.Target("31", "2017-09", 3.78, "2022-09", 2.78)
    releases = target.released(series, "31")
    took = best_of(3, lambda: target.as_known(releases, aim, scenarios, priors, "2020-03"))
    print(f"Probability as known at 11 releases, 4 scenarios: {took:.2f} s")
    provinces = poverty.same_area(series[series["region_code"] != "00"])
    start = time.perf_counter()
    tested = forecast.backtest(provinces, scenarios, "small", priors, "2020-03")
    took = time.perf_counter() - start
    print(f"Backtest of all provinces ({len(tested):,} scored forecasts): {took:.1f} s")


if __name__ == "__main__":
    main()
