"""Names of the synthetic city's areas. They are invented, and no area of Jakarta has them.

No list or label names a real kelurahan beside invented poverty, so that the codes of the 267
kelurahan, which maps need, go with these names.
"""

import numpy as np
import pandas as pd

# Syllables with letters that names of Jakarta hardly use; a test compares with all real names.
_FIRST = ("Vel", "Zor", "Qua", "Vex", "Zin", "Fyo", "Xa", "Vu", "Zae", "Ov", "Izu", "Evo")
_MIDDLE = ("ra", "lo", "mi", "da", "ne", "vu", "so", "ti", "go", "be")
_LAST = ("ven", "zar", "fyr", "vix", "zum", "qel", "vor", "xan", "zeth", "voq")
_ORDER = 2017  # of the shuffle: the same names for every seed and size


def invented(count: int) -> list[str]:
    """As many invented names as asked (at most 1,200), each once; always the same."""
    every = [a + b + c for a in _FIRST for b in _MIDDLE for c in _LAST]
    order = np.random.default_rng(_ORDER).permutation(len(every))
    return [every[i] for i in order[:count]]


def names(kelurahan_code: pd.Index) -> pd.DataFrame:
    """Invented names: ``kelurahan_code, area_name, kecamatan_code, kecamatan_name``, all text."""
    every = invented(len(_FIRST) * len(_MIDDLE) * len(_LAST))
    kecamatan = kelurahan_code.str[:7]
    own = sorted(set(kecamatan))
    of_kecamatan = dict(zip(own, every, strict=False))
    area_names = every[len(own) : len(own) + len(kelurahan_code)]
    return pd.DataFrame(
        {
            "kelurahan_code": kelurahan_code,
            "area_name": area_names,
            "kecamatan_code": kecamatan,
            "kecamatan_name": [of_kecamatan[code] for code in kecamatan],
        }
    )
