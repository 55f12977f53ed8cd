"""The loader that MLflow runs for `models:/slugline-<task>`: rows with a `text` in, one row a prediction out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow


class SluglineModel(mlflow.pyfunc.PythonModel):
    """Scores as `slugline score` does, with the model's own files and no pickle."""

    def load_context(self, context: Any) -> None:
        from pipeline.score import Scorer

        self.scorer = Scorer.load([Path(context.artifacts["model"])])

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # MLflow reads hints as a schema
        import pandas as pd

        from pipeline.artifacts import content_id
        from pipeline.document import Article

        articles = [Article(id=content_id(text), text=text) for text in model_input["text"]]
        rows = []
        for answer in self.scorer.score(articles):
            entries = [entry for one in answer.predictions.values() for entry in one]
            best = entries[0] if entries else None
            rows.append((answer.id, best.label if best else None, best.probability if best else None))
        return pd.DataFrame(rows, columns=["id", "label", "probability"])


mlflow.models.set_model(SluglineModel())
