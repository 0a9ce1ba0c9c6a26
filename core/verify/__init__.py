"""Holds archive, tracker and catalog against each other and mends what it can; a good object is never touched."""

from core.verify.findings import Finding, Kind, Repair, Report
from core.verify.verify import Verification, Verifier

__all__ = ["Finding", "Kind", "Repair", "Report", "Verification", "Verifier"]
