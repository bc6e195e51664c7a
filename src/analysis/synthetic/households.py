"""Households of the synthetic city: who lives where, in how many, and in what circumstances.

Numbers of persons by kelurahan are given; everything else here is invented. Shares are near what
surveys of Jakarta print, and all circumstances hang on one latent standard of living, so that
they go together as they do in surveys: schooling with formal work, slums with shared toilets.
"""

from dataclasses import dataclass

import numpy as np

SCHOOLING = ("none", "primary", "junior", "senior", "tertiary")
WORK = ("not_working", "informal", "formal")
WATER = ("piped", "bottled", "well", "other")
TOILET = ("own", "shared", "none")
ASSETS = ("has_car", "has_motorcycle", "has_refrigerator", "has_ac", "has_computer")

# Shares of households with 1, 2, ... 10 members.
SIZE_SHARES = (0.08, 0.135, 0.21, 0.265, 0.17, 0.08, 0.034, 0.015, 0.007, 0.004)
SCHOOLING_SHARES = (0.04, 0.18, 0.17, 0.41, 0.20)
TOILET_SHARES = (0.02, 0.13, 0.85)  # none, shared, own: from the lowest standard up
INFORMAL_SHARE = 0.38  # of heads who work
OWNED_SHARE, BOTTLED_SHARE = 0.48, 0.42
ASSET_SHARES = (0.17, 0.75, 0.86, 0.34, 0.32)


@dataclass(frozen=True)
class Households:
    """Households in the order of blocks; one array of shape (households,) per column.

    ``area`` and ``block`` are positions, ``since`` is the position of the first period in which
    the household is there, and categories are positions in the lists of this module.
    """

    area: np.ndarray
    block: np.ndarray
    since: np.ndarray
    size: np.ndarray
    columns: dict[str, np.ndarray]
    block_area: np.ndarray  # (blocks,)
    block_slum: np.ndarray  # (blocks,) bool


def sizes_of(
    persons: np.ndarray, tilt: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Households whose sizes sum to given numbers of persons.

    Parameters
    ----------
    persons
        Persons of each area, shape (A,).
    tilt
        Exponent of the uniform draws of each area: below one gives larger households.
    rng
        The generator.

    Returns
    -------
    (area, size)
        Position of the area and size of each household, sorted by area. The last household drawn
        in an area takes the persons that are left.
    """
    cumulative = np.cumsum(SIZE_SHARES) / np.sum(SIZE_SHARES)
    draws = np.where(persons > 0, persons // 3 + 20, 0)
    while True:
        area = np.repeat(np.arange(len(persons)), draws)
        u = rng.random(len(area), dtype="float32") ** tilt.astype("float32")[area]
        size = np.searchsorted(cumulative[:-1].astype("float32"), u, side="right") + 1
        if (np.bincount(area, size, len(persons)) >= persons).all():
            break
        draws = draws * 2
    starts = np.cumsum(draws) - draws
    total = np.cumsum(size)
    before = total - size
    before -= np.concatenate([[0], total])[starts][area]
    kept = before < persons[area]
    area, size = area[kept], np.minimum(size, persons[area] - before)[kept]
    return area.astype("int16"), size.astype("int8")


def generate(
    persons: np.ndarray,
    deprivation: np.ndarray,
    slum_share: np.ndarray,
    block_size: int,
    rng: np.random.Generator,
) -> Households:
    """All households of the city.

    Parameters
    ----------
    persons
        Persons of each area who are there from each period on, shape (A, periods).
    deprivation
        Latent deprivation of each area, standardised, shape (A,).
    slum_share
        Share of the blocks of each area that are slums, shape (A,).
    block_size
        Households per census block, about.
    rng
        The generator.
    """
    areas = len(persons)
    tilt = np.exp(-0.10 * deprivation)
    drawn = [sizes_of(own, tilt, rng) for own in persons.T]
    counts = np.array([np.bincount(area, minlength=areas) for area, _ in drawn])  # (periods, A)
    blocks = np.maximum(1, np.rint(counts.sum(axis=0) / block_size)).astype("int64")
    first_block = np.cumsum(blocks) - blocks
    block_area = np.repeat(np.arange(areas), blocks)
    within = np.arange(len(block_area)) - first_block[block_area]
    slums = np.floor(slum_share * blocks + rng.random(areas))
    block_slum = within < slums[block_area]

    block = []
    for (area, _), own in zip(drawn, counts, strict=True):
        number = np.arange(len(area)) - (np.cumsum(own) - own)[area]
        block.append(first_block[area] + number * blocks[area] // own[area])
    order = np.argsort(np.concatenate(block), kind="stable")
    block = np.concatenate(block)[order].astype("int32")
    area = np.concatenate([area for area, _ in drawn])[order]
    size = np.concatenate([size for _, size in drawn])[order]
    since = np.repeat(np.arange(len(drawn), dtype="int8"), counts.sum(axis=1))[order]
    columns = _columns(area, size, block_slum[block], deprivation, rng)
    return Households(area, block, since, size, columns, block_area, block_slum)


def _columns(
    area: np.ndarray,
    size: np.ndarray,
    slum: np.ndarray,
    deprivation: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    n = len(area)

    def normal() -> np.ndarray:
        return rng.standard_normal(n, dtype="float32")

    def uniform() -> np.ndarray:
        return rng.random(n, dtype="float32")

    members = size.astype("float32") - np.float32(3.8)
    living = normal()
    living -= deprivation.astype("float32")[area] * np.float32(0.35)
    living -= slum * np.float32(0.45) + members * np.float32(0.06)

    age = np.clip(np.rint(46 + 13 * normal() + members), 17, 95).astype("int16")
    older = (age - np.float32(46)) / np.float32(13)
    alone = np.array([0.48, 0.30, 0.15, 0.11] + [0.10] * 6, dtype="float32")[size - 1]
    female = uniform() < alone + np.float32(0.05) * older
    schooling = _cut(living - np.float32(0.35) * older + np.float32(0.9) * normal(),
                     SCHOOLING_SHARES)  # fmt: skip
    idle = np.float32(0.10) + np.float32(0.13) * np.clip(older, 0, 4) + np.float32(0.15) * female
    works = uniform() >= idle
    formality = np.float32(0.5) * schooling + np.float32(0.3) * living + normal()
    informal_below = np.quantile(formality[works], INFORMAL_SHARE)
    work = np.where(works, np.where(formality < informal_below, 1, 2), 0).astype("int8")

    def upper(latent: np.ndarray, share: float) -> np.ndarray:
        return _cut(latent, (1 - share, share)).astype(bool)

    owned = upper(np.float32(0.6) * older + np.float32(0.25) * living
                  - np.float32(0.3) * slum + normal(), OWNED_SHARE)  # fmt: skip
    floor = np.exp(np.float32(3.75) + np.float32(0.30) * living + np.float32(0.2) * owned
                   + np.float32(0.04) * members + np.float32(0.45) * normal())  # fmt: skip
    bottled = upper(np.float32(0.5) * living + normal(), BOTTLED_SHARE)
    network = np.clip(0.62 + 0.25 * rng.standard_normal(len(deprivation)), 0.05, 0.95)
    u = uniform()
    piped = u < network.astype("float32")[area]
    other = u > np.float32(0.97)
    water = np.where(bottled, 1, np.where(piped, 0, np.where(other, 3, 2))).astype("int8")
    toilet = 2 - _cut(np.float32(0.8) * living - np.float32(0.4) * slum
                      + np.float32(0.3) * owned + normal(), TOILET_SHARES)  # fmt: skip
    latent = (
        np.float32(1.0) * living + np.float32(0.25) * schooling + np.float32(0.15) * members,
        np.float32(0.25) * living + np.float32(0.30) * members - np.float32(0.35) * older,
        np.float32(0.8) * living + np.float32(0.15) * members,
        np.float32(1.0) * living + np.float32(0.10) * schooling,
        np.float32(0.6) * living + np.float32(0.45) * schooling + np.float32(0.10) * members,
    )
    assets = {
        name: upper(own + normal(), share)
        for name, own, share in zip(ASSETS, latent, ASSET_SHARES, strict=True)
    }
    return {
        "household_size": size,
        "head_age": age,
        "head_female": female,
        "head_schooling": schooling,
        "head_work": work,
        "dwelling_owned": owned,
        "floor_area_m2": np.clip(np.rint(floor), 6, 600).astype("float32"),
        "water": water,
        "toilet": toilet,
        **assets,
        "slum_rw": slum,
    }


def _cut(latent: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    """Positions of classes with given shares, from low to high."""
    every = max(1, len(latent) // 200_000)  # the cut points need no more than a part
    points = np.quantile(latent[::every], np.cumsum(shares)[:-1] / np.sum(shares))
    classes = np.zeros(len(latent), dtype="int8")
    for point in points.astype("float32"):
        classes += latent > point
    return classes
