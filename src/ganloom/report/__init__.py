"""Write report.html, one self-contained page per run, from the files in the run folder."""

from ganloom.report.page import write as write

__all__ = ["write"]
