"""report.html: one self-contained page a run. It reads the run folder and needs nothing but the standard library."""

from ganloom.report.page import write as write

__all__ = ["write"]
