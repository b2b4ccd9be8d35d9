"""Tell people about a run: report.html, one self-contained page, and the progress of a command."""

from ganloom.report.page import write as write

__all__ = ["write"]
