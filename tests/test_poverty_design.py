"""Standard errors under the design: against svy, against simulation, and against themselves."""

import numpy as np
import pandas as pd
import pytest

from analysis.poverty import design
from analysis.poverty import measures as m


def example(lone: int = 0) -> pd.DataFrame:
    """A survey without random numbers: 6 strata of 4 clusters of 5 households.

    With ``lone`` strata of one cluster.
    """
    rows = [
        (h, c, i)
        for h in range(6)
        for c in range(1 if h < lone else 4)
        for i in range(5)
    ]
    h, c, i = np.array(rows).T
    at = 20 * h + 5 * c + i + 1
    golden = (np.sqrt(5) - 1) / 2
    u = at * golden % 1
    v = (4 * h + c + 1) * golden % 1
    return pd.DataFrame(
        {
            "stratum": [f"s{k}" for k in h],
            "cluster": [f"c{k}" for k in c],
            "weight": 1 + 3 * (at * np.sqrt(2) % 1),
            "household_size": 1 + (at * 7) % 5,
            "y": np.exp(1.5 * (u - 0.5) + 0.8 * (v - 0.5)),
            "area": [f"a{k}" for k in (h + c) % 3],
        }
    )
