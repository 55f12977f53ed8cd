"""Reports for people: one self-contained page on a model, one on a comparison, and a table for the terminal."""

from pipeline.report.comparison import comparison_report, comparison_table, verdict_sentence
from pipeline.report.evaluation import Drift, Evaluation, ReportRow, evaluation_report

__all__ = [
    "Drift",
    "Evaluation",
    "ReportRow",
    "comparison_report",
    "comparison_table",
    "evaluation_report",
    "verdict_sentence",
]
