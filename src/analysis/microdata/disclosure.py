"""Small cells are suppressed on the way out: the counts, and what would give them away.

Complementary suppression as in Willenborg and de Waal (2001), Elements of Statistical Disclosure
Control, chapter 8 (here a greedy choice of the smallest cell, not the least loss by optimisation).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.microdata.columns import MicrodataError

THRESHOLD = 8


def suppress(
    table: pd.DataFrame,
    counts: Sequence[str],
    groups: Sequence[Sequence[str] | str] = (),
    *,
    threshold: int = THRESHOLD,
    of: Mapping[str, str] | None = None,
    keep: Sequence[str] = (),
    flag: str = "suppressed",
) -> pd.DataFrame:
    """A table without its small cells and without what reveals them by difference.

    A row is a cell: if one of its counts is small, all its numbers go missing, so that no rate
    gives the count back. Then further rows are suppressed, smallest first, until

    - no suppressed count follows from the published counts and totals (as the solution of the
      linear equations between them), and
    - what a published total leaves for its suppressed rows is itself not small.

    Totals are those over all rows and over each of ``groups``. A total that is small, or that can
    be protected in no other way (a group of one small row), must not be published either; columns
    say so.

    Exact disclosure is prevented. Bounds on a suppressed count (it is not negative, and at most
    what the total leaves) can always be worked out.

    Parameters
    ----------
    table
        One row per cell, whole.
    counts
        Columns with the numbers of sampled households or persons in each cell, not weighted.
    groups
        Columns, or lists of columns, whose totals are published elsewhere: ``["kota_code"]``, or
        both margins of a two-way table.
    threshold
        Counts below it are small; zero is a count.
    of
        Counts that are part of another (poor of all): their difference is a count too.
    keep
        Numbers that say nothing of the cell (a population from elsewhere, an area in km2). Text
        and the columns of ``groups`` stay anyway.
    flag
        Name of the new column (bool).

    Returns
    -------
    pandas.DataFrame
        The table with missing values, ``flag``, and for each of ``groups`` a column (bool) named
        ``total_<columns>_suppressed``, besides ``total_suppressed`` for the total of all rows:
        whether that total must stay unpublished.

    Raises
    ------
    MicrodataError
        A count is missing, negative or no number, or a column is not there.
    """
    by = [[g] if isinstance(g, str) else list(g) for g in groups]
    named = [*counts, *(of or {}), *(of or {}).values(), *keep, *(c for g in by for c in g)]
    if absent := [c for c in dict.fromkeys(named) if c not in table]:
        raise MicrodataError(f"the table to be published has no column {', '.join(absent)}")
    cells = table[list(dict.fromkeys([*counts, *(of or {}), *(of or {}).values()]))]
    try:
        values = cells.to_numpy("float64", na_value=np.nan)
    except (TypeError, ValueError):
        raise MicrodataError(f"counts should be numbers: {', '.join(cells.columns)}") from None
    for part, whole in (of or {}).items():
        rest = (cells[whole] - cells[part]).to_numpy("float64", na_value=np.nan)
        values = np.column_stack([values, rest])
    if not (values >= 0).all():
        raise MicrodataError(
            "a count is missing or negative, or a part is larger than its whole, in "
            f"{(~(values >= 0).all(axis=1)).sum():,} rows: suppress before anything is left out"
        )

    members = [np.zeros(len(table), dtype=int)]
    members += [table.groupby(g, dropna=False).ngroup().to_numpy() for g in by]
    hidden, hidden_totals = _hide(values, members, threshold)

    out = table.copy()
    stay = {*keep, *(c for g in by for c in g)}
    for column in out.columns:
        if column not in stay and (
            pd.api.types.is_numeric_dtype(out[column]) or column in cells.columns
        ):
            out[column] = _without(out[column], hidden)
    out[flag] = hidden
    for group, member, total in zip([[], *by], members, hidden_totals, strict=True):
        out["_".join(["total", *group, "suppressed"])] = total[member]
    return out


def _without(column: pd.Series, hidden: np.ndarray) -> pd.Series:
    """A column with missing values; whole numbers and bool stay what they are."""
    if column.dtype == bool:
        column = column.astype("boolean")
    elif pd.api.types.is_integer_dtype(column.dtype):
        column = column.astype("Int64")
    return column.mask(hidden)


def _hide(
    values: np.ndarray, members: list[np.ndarray], threshold: float
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Which cells (rows of ``values``) and which totals to suppress.

    Cells and totals are the unknowns of one system: each total is the sum of its cells, and of
    the totals of the groups that lie within it. ``members`` has the number of the group of each
    cell, one array per grouping.
    """
    n_cells = len(values)
    sizes = [int(m.max(initial=-1)) + 1 for m in members]
    starts = list(n_cells + np.cumsum([0, *sizes[:-1]]))
    n_unknown = n_cells + sum(sizes)
    addends, total_of = [], []
    for size, start, member in zip(sizes, starts, members, strict=True):
        block = np.zeros((size, n_unknown))
        block[member, np.arange(n_cells)] = 1
        addends.append(block)
        total_of += range(start, start + size)
    amounts = np.vstack([values, np.vstack(addends)[:, :n_cells] @ values])
    for inner, inner_start, inner_size in zip(members, starts, sizes, strict=True):
        for outer, outer_start, outer_size in zip(members, starts, sizes, strict=True):
            pairs = np.unique(np.column_stack([inner, outer]), axis=0)
            if outer_start != inner_start and len(pairs) == inner_size > outer_size:
                block = np.zeros((outer_size, n_unknown))
                block[pairs[:, 1], inner_start + pairs[:, 0]] = 1
                addends.append(block)
                total_of += range(outer_start, outer_start + outer_size)
    sums = np.vstack(addends)
    total_of = np.array(total_of, dtype=int)
    equations = sums.copy()
    equations[np.arange(len(sums)), total_of] = -1

    hidden = (amounts < threshold).any(axis=1)
    # What is given up first is the cell with the least in it; totals only if there is no cell.
    rank = np.empty(n_unknown, dtype=int)
    rank[np.lexsort((amounts.max(axis=1), np.arange(n_unknown) >= n_cells))] = range(n_unknown)

    def cheapest(among: np.ndarray) -> int:
        """The first to give up of the published unknowns of some equations, or -1."""
        published = np.flatnonzero((equations[among] != 0).any(axis=0) & ~hidden)
        return published[np.argmin(rank[published])] if len(published) else -1

    while True:
        covered = sums @ hidden
        left = sums @ (amounts * hidden[:, None])
        weak = (covered == 1) | ((covered > 1) & (left < threshold).any(axis=1))
        weak = np.flatnonzero(weak & ~hidden[total_of])
        if len(weak):
            hidden[[cheapest(weak[i : i + 1]) for i in range(len(weak))]] = True
            continue
        told = _determined(equations, hidden)
        if not len(told):
            break
        own = cheapest(np.flatnonzero(equations[:, told[0]]))
        hidden[own if own >= 0 else cheapest(np.arange(len(equations)))] = True
    totals = [hidden[start : start + size] for start, size in zip(starts, sizes, strict=True)]
    return hidden[:n_cells], totals


def _determined(equations: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Unknowns that the published values determine: those without part in the null space."""
    unknown = np.flatnonzero(hidden)
    if not len(unknown):
        return unknown
    _, singular, right = np.linalg.svd(equations[:, unknown])
    null_space = right[int((singular > 1e-9).sum()) :]
    return unknown[(np.abs(null_space) < 1e-9).all(axis=0)]
