"""Whether a deployed stack will do its work, and what to do if not."""

from core.doctor.check import Check, Level
from core.doctor.stack import SignIn, StackDoctor

__all__ = ["Check", "Level", "SignIn", "StackDoctor"]
