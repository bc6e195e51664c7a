"""What other eyes see of a colour: deuteranopia, grey, and how far two colours are apart.

The palettes are held to these measures (tests), and ``make bench`` writes every kind of map as
other eyes see it.
"""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np

# Machado, Oliveira and Fernandes (2009), A Physiologically-based Model for Simulation of Color
# Vision Deficiency, IEEE Transactions on Visualization and Computer Graphics 15(6), 1291-1298:
# the matrix of deuteranomaly of severity 1.0 for linear RGB.
_DEUTERANOPIA = np.array(
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]
)
# Linear sRGB to CIE XYZ, IEC 61966-2-1, white D65.
_XYZ = np.array(
    [
        [0.4124, 0.3576, 0.1805],
        [0.2126, 0.7152, 0.0722],
        [0.0193, 0.1192, 0.9505],
    ]
)


def deuteranopia(rgb: np.ndarray) -> np.ndarray:
    """sRGB (0 to 1, last axis of 3) as simulated for a reader without green cones."""
    return _companded(_linear(rgb) @ _DEUTERANOPIA.T)


def grey(rgb: np.ndarray) -> np.ndarray:
    """sRGB (0 to 1, last axis of 3) as a black and white printer shows it: its luminance."""
    luminance = _linear(rgb) @ _XYZ[1]
    return _companded(np.repeat(luminance[..., np.newaxis], 3, axis=-1))


def lab(rgb: np.ndarray) -> np.ndarray:
    """sRGB (0 to 1, last axis of 3) in CIE 1976 L*a*b*, white D65."""
    share = _linear(rgb) @ _XYZ.T / _XYZ.sum(axis=1)
    low = (6 / 29) ** 3
    f = np.where(share > low, np.cbrt(share), share / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def nearest(colors: Sequence[str], seen=np.asarray) -> float:
    """The least distance in CIE Lab between any two colours, as seen by other eyes.

    ``seen`` is `deuteranopia`, `grey`, or nothing for full colour vision. 2.3 is about what
    can just be told side by side; a map and its legend need several times that.
    """
    points = lab(seen(np.array([mpl.colors.to_rgb(color) for color in colors])))
    apart = np.linalg.norm(points[:, np.newaxis] - points, axis=-1)
    return float(apart[np.triu_indices(len(points), 1)].min())


def _linear(rgb: np.ndarray) -> np.ndarray:
    rgb = np.asarray(rgb, dtype="float64")
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def _companded(linear: np.ndarray) -> np.ndarray:
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
