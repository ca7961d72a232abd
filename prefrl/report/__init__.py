"""The page about one run, or several side by side."""

from prefrl.report.page import write_report

__all__ = ["write_report"]
