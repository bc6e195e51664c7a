"""Slum RW (RW kumuh): the published lists and counts, scores by rules, RW as units, prediction.

What is published by RW covers three kota and is incomplete there (`published`). A score needs
the user's table of RW variables, or the synthetic city's (`analysis.synthetic.rw_variables`).

published    lists and counts as published, in their three states
rules        declared thresholds, weights and cut-offs
scores       scores and classes by rules, and how much the rules decide
units        the user's table of RW variables, and polygons of RW
prediction   a count model where nothing is published by RW, and whether it may be used
shown        tables and words of the scores (not imported here)
"""

from analysis.slums.prediction import PredictionCheck, predict, validate_prediction
from analysis.slums.published import (
    ADMINISTRATIVE,
    BPS,
    FRAME_CHANGE,
    HIGHEST,
    KOTA_WITH_LIST,
    LISTED,
    LOWEST,
    NONE_LISTED,
    NOT_PUBLISHED,
    NOT_STATED,
    SlumError,
    by_kelurahan,
    clean_list,
    completeness,
    count_series,
    doubtful,
    draw_counts,
    frame_words,
    listed_words,
    parts_words,
    rw_number,
    shortfall_words,
    vulnerability,
)
from analysis.slums.rules import BPS_2017, PERMEN_2018, Rules, read_rules, rules_table
from analysis.slums.scores import (
    NOT_SLUM,
    Sensitivity,
    by_class,
    score,
    scores_by_kelurahan,
    sensitivity,
    sensitivity_table,
)
from analysis.slums.units import (
    RwBoundaries,
    boundaries_path,
    is_synthetic,
    read_boundaries,
    read_variables,
    variables_path,
)

__all__ = [
    "ADMINISTRATIVE",
    "BPS",
    "BPS_2017",
    "FRAME_CHANGE",
    "HIGHEST",
    "KOTA_WITH_LIST",
    "LISTED",
    "LOWEST",
    "NONE_LISTED",
    "NOT_PUBLISHED",
    "NOT_SLUM",
    "NOT_STATED",
    "PERMEN_2018",
    "PredictionCheck",
    "Rules",
    "RwBoundaries",
    "Sensitivity",
    "SlumError",
    "boundaries_path",
    "by_class",
    "by_kelurahan",
    "clean_list",
    "completeness",
    "count_series",
    "doubtful",
    "draw_counts",
    "frame_words",
    "is_synthetic",
    "listed_words",
    "parts_words",
    "predict",
    "read_boundaries",
    "read_rules",
    "read_variables",
    "rules_table",
    "rw_number",
    "score",
    "scores_by_kelurahan",
    "sensitivity",
    "sensitivity_table",
    "shortfall_words",
    "validate_prediction",
    "variables_path",
    "vulnerability",
]
