"""The registered model as MLflow loads and serves it: the answers of the command line, and nothing unpickled on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from archives import article, topic_model
from conftest import ROOT

ASKED = """
import json, sys
unpickled = []
sys.addaudithook(lambda event, args: unpickled.append(args) if event == "pickle.find_class" else None)
import mlflow, pandas as pd
from mlflow.pyfunc.scoring_server import init
from starlette.testclient import TestClient
from pipeline import tracking
key = tracking.new_key()
assert tracking.log_run(tracking.RunRecord(key=key, name="t", model=sys.argv[1])) is not None
assert tracking.register_version("topic", key, {}, is_champion=True) is not None
texts = json.load(sys.stdin)
unpickled.clear()
model = mlflow.pyfunc.load_model("models:/slugline-topic@champion")
answers = model.predict(pd.DataFrame({"text": texts}))
with TestClient(init(model)) as service:
    answer = service.post("/invocations", json={"dataframe_records": [{"text": text} for text in texts]})
print(json.dumps([answers.to_dict("records"), answer.json()["predictions"], len(unpickled)]))
"""


def test_the_registered_model_loads_and_serves_as_pyfunc_without_pickle(tmp_path: Path) -> None:
    from pipeline.artifacts import content_id
    from pipeline.document import Article
    from pipeline.score import Scorer

    texts = [article(i)["text"] for i in range(5)]
    done = subprocess.run(
        [sys.executable, "-c", ASKED, str(topic_model())],
        input=json.dumps(texts),
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
            "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded, served, n_unpickled = json.loads(done.stdout.splitlines()[-1])
    expected = Scorer.load([topic_model()], n_evidence=0).score([Article(content_id(text), text) for text in texts])
    plain = [(one.id, one.predictions["topic"][0].label, one.predictions["topic"][0].probability) for one in expected]
    assert [(one["id"], one["label"], one["probability"]) for one in loaded] == plain
    assert [(one["id"], one["label"], one["probability"]) for one in served] == plain
    assert n_unpickled == 0
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".pkl", ".pickle", ".joblib", ".bin", ".pt")]
