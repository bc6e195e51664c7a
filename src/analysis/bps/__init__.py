"""What BPS and Satu Data Jakarta publish: read it, fetch it, find what is wrong in it."""

from analysis.bps.checks import check
from analysis.bps.client import BpsError, Client
from analysis.bps.tables import BpsFormatError, read_table

__all__ = ["BpsError", "BpsFormatError", "Client", "check", "read_table"]
