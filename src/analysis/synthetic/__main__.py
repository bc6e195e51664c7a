"""Write a synthetic Jakarta: survey, census, Podes, truth, lines and invented names of areas."""

import argparse
import sys

from analysis import paths, sources, synthetic


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m analysis.synthetic", description=__doc__)
    parser.add_argument("folder", help="where the files go; made if it is not there")
    parser.add_argument("--size", choices=synthetic.SIZES, default=synthetic.FULL)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--edition", choices=synthetic.EDITIONS, default=synthetic.REGULAR)
    parser.add_argument(
        "--periods", nargs="+", default=list(synthetic.PERIODS), metavar="PERIOD",
        help="Marches with a published P0 of every kota, such as 2017-03",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        written = synthetic.write(
            options.folder, options.edition, options.size, options.seed, options.periods
        )
    except (synthetic.SyntheticError, sources.SourceError, OSError) as error:
        print(f"synthetic: {error}", file=sys.stderr)
        return 1
    for path in written:
        print(f"{paths.shown(path)}: {path.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
