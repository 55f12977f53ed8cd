"""Reports for people: one self-contained page on a model, one on a comparison, and a table for the terminal."""

from pipeline.report.card import model_card
from pipeline.report.comparison import comparison_report, comparison_table, verdict_sentence
from pipeline.report.drift import Drift, measure_drift
from pipeline.report.evaluation import Evaluation, ReportRow, evaluation_report
from pipeline.report.pictures import pictures
from pipeline.report.tables import tables

__all__ = [
    "Drift",
    "Evaluation",
    "ReportRow",
    "comparison_report",
    "comparison_table",
    "evaluation_report",
    "measure_drift",
    "model_card",
    "pictures",
    "tables",
    "verdict_sentence",
]
