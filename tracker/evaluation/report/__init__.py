"""One page about one or two trackers: scores, curves, identities over time, and every error of identity."""

from tracker.evaluation.report.write import write_report

__all__ = ["write_report"]
