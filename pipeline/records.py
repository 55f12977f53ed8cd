"""Records of `score` as files of every format: JSON lines, CSV, Parquet, a table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pipeline.artifacts import json_line

if TYPE_CHECKING:
    import pyarrow as pa


def write_records(records: Iterable[dict[str, Any]], form: str, out: Any) -> None:
    """Write all records to a binary stream."""
    match form:
        case "jsonl":
            for record in records:
                out.write(json_line(record))
        case "csv":
            _write_csv(records, out)
        case "parquet":
            _write_parquet(records, out)
        case _:
            from pipeline.table import show

            text = io.StringIO()
            show(records, text)
            out.write(text.getvalue().encode("utf-8", "replace"))
    out.flush()


CSV_COLUMNS = (
    "id",
    "task",
    "target",
    "label",
    "probability",
    "set",
    "abstained",
    "body_chars",
    "boilerplate_lines",
    "evidence",
    "error",
)


def _write_csv(records: Iterable[dict[str, Any]], out: Any) -> None:
    """One row an entry; an article without one, or that cannot be read, has one row too."""
    text = io.TextIOWrapper(out, encoding="utf-8", errors="replace", newline="", write_through=True)
    writer: csv.DictWriter[str] = csv.DictWriter(text, CSV_COLUMNS)
    writer.writeheader()
    for record in records:
        shared = {
            "id": record["id"],
            "body_chars": record["body_chars"],
            "boilerplate_lines": record["boilerplate_lines"],
        }
        if record["error"]:
            writer.writerow({**shared, "error": f"{record['error']['reason']}: {record['error']['message']}"})
        for task, entries in record["predictions"].items():
            for entry in entries or [{}]:
                plain = {key: entry.get(key) for key in ("target", "label", "probability", "abstained")}
                quoted = " … ".join(one["text"] for one in entry.get("evidence", ()))
                writer.writerow(
                    {**shared, **plain, "task": task, "set": "|".join(entry.get("set", ())), "evidence": quoted}
                )
    text.detach()


def _write_parquet(records: Iterable[dict[str, Any]], out: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = parquet_schema()
    with pq.ParquetWriter(out, schema) as writer:
        iterator = iter(records)
        while rows := [row for _, row in zip(range(1000), iterator, strict=False)]:
            writer.write_table(pa.Table.from_pylist([parquet_row(row) for row in rows], schema))


def parquet_schema() -> pa.Schema:
    """The columns of records in Parquet; `predictions` and `model` are JSON, since their keys differ from job to job."""
    import pyarrow as pa

    return pa.schema(
        [("id", pa.string()), ("body_chars", pa.int64()), ("boilerplate_lines", pa.int64()), ("predictions", pa.large_string()),
         ("model", pa.string()), ("error_reason", pa.string()), ("error_message", pa.string())]
    )  # fmt: skip


def parquet_row(record: dict[str, Any]) -> dict[str, Any]:
    """A record as a row of `parquet_schema`."""
    error = record["error"] or {}
    return {
        "id": record["id"],
        "body_chars": record["body_chars"],
        "boilerplate_lines": record["boilerplate_lines"],
        "predictions": json.dumps(record["predictions"]),
        "model": json.dumps(record["model"]),
        "error_reason": error.get("reason"),
        "error_message": error.get("message"),
    }
