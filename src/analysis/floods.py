"""Flood-prone RW by kelurahan."""

import numpy as np
import pandas as pd

KNOWN, MOSTLY_UNKNOWN, NOT_COVERED = "known", "mostly unknown", "not covered"


def rw_share(areas: pd.DataFrame) -> pd.DataFrame:
    """Share of flood-prone RW, with what the unknown flags leave open.

    Parameters
    ----------
    areas
        Table ``kelurahan``: ``kelurahan_code, rw_count, rw_flood_prone_count,
        rw_flood_unknown_count`` (missing where the layer does not reach).

    Returns
    -------
    pandas.DataFrame
        With the index of ``areas``: ``kelurahan_code``, ``flood_prone_share_pct`` (of the RW whose
        flag is known; missing unless the status is known), ``flood_prone_low_pct`` and
        ``flood_prone_high_pct`` (if none or all of the unknown were flood-prone) and ``status``:
        known, mostly unknown (more than half of the flags are), or not covered.
    """
    total, prone, unknown = (
        areas[name].astype("Float64")
        for name in ("rw_count", "rw_flood_prone_count", "rw_flood_unknown_count")
    )
    known = total - unknown
    covered = total.notna().to_numpy()
    enough = (known / total >= 0.5).fillna(False).to_numpy(dtype=bool)
    share = (prone / known.where(known > 0) * 100).to_numpy(dtype=float, na_value=np.nan)
    return pd.DataFrame(
        {
            "kelurahan_code": areas["kelurahan_code"],
            "flood_prone_share_pct": np.where(enough, share, np.nan),
            "flood_prone_low_pct": (prone / total * 100).astype("float64"),
            "flood_prone_high_pct": ((prone + unknown) / total * 100).astype("float64"),
            "status": np.select([~covered, ~enough], [NOT_COVERED, MOSTLY_UNKNOWN], KNOWN),
        },
        index=areas.index,
    )
