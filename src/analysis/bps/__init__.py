"""What BPS and Satu Data Jakarta publish: read it, fetch it, find what is wrong in it."""

from analysis.bps.tables import BpsFormatError, read_table

__all__ = ["BpsFormatError", "read_table"]
