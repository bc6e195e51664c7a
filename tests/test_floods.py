import numpy as np
import pandas as pd

from analysis import floods


def test_share_bounds_and_status():
    areas = pd.DataFrame(
        {
            "kelurahan_code": ["a", "b", "c", "d"],
            "rw_count": pd.array([10, 10, 5, None], dtype="Int64"),
            "rw_flood_prone_count": pd.array([4, 3, 0, None], dtype="Int64"),
            "rw_flood_unknown_count": pd.array([0, 2, 5, None], dtype="Int64"),
        }
    )
    table = floods.rw_share(areas)
    assert list(table["status"]) == [
        floods.KNOWN,
        floods.KNOWN,
        floods.MOSTLY_UNKNOWN,
        floods.NOT_COVERED,
    ]
    np.testing.assert_allclose(table["flood_prone_share_pct"], [40, 37.5, np.nan, np.nan])
    np.testing.assert_allclose(table["flood_prone_low_pct"], [40, 30, 0, np.nan])
    np.testing.assert_allclose(table["flood_prone_high_pct"], [40, 50, 100, np.nan])
