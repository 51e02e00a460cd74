"""Pictures of an evaluation, on one HTML page that opens anywhere."""

from reid.report.page import write_report

__all__ = ["write_report"]
