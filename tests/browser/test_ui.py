"""What a person reads in the MLflow UI, in a real browser, on runs that the pipeline made."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra [dev])").expect
expect.set_options(timeout=120_000)  # a busy machine draws slowly


def base(address: str) -> str:
    return address.partition("/#")[0]


def sections(page: Any) -> list[str]:
    """The groups of charts in the order shown, by the prefix of their metrics."""
    return re.findall(r"^([a-z][\w/ ]*)\s*\(\d+\)$", page.locator("body").inner_text(), flags=re.MULTILINE)


def test_the_runs_table_leads_with_the_result_best_first(address: str, project: Any, page: Any) -> None:
    page.goto(address)
    better, worse = (page.get_by_role("link", name=run.info.run_name) for run in (project.better, project.worse))
    expect(better).to_be_visible()
    expect(worse).to_be_visible()
    assert re.match(r"topic 0\.[89]\d\d · linear · [0-9a-f]{8}$", project.better.info.run_name)
    assert better.bounding_box()["y"] < worse.bounding_box()["y"]
    for column in ("test/macro_f1", "test/accuracy", "test/ece", "shortcut/flip_rate"):
        expect(page.get_by_role("columnheader", name=column).first).to_be_visible()
    expect(page.get_by_text(str(project.better.data.metrics["test/macro_f1"]), exact=True).first).to_be_visible()
    expect(page.get_by_text("compare ·")).to_have_count(0)


def test_charts_are_grouped_by_prefix_with_the_headline_first(address: str, project: Any, page: Any) -> None:
    page.goto(f"{address}&compareRunsMode=CHART")
    page.wait_for_function(r"() => /test.f1\s*\(\d+\)/.test(document.body.innerText)")
    assert sections(page)[:4] == ["test", "shortcut", "test/curve", "test/f1"]
    expect(page.locator("svg.main-svg").first).to_be_visible()
    page.goto("about:blank")
    page.goto(f"{base(address)}/#/experiments/{project.experiment}/runs?compareRunsMode=CHART")
    page.wait_for_function(r"() => /test.f1\s*\(\d+\)/.test(document.body.innerText)")
    assert {"compare", "shortcut", "test", "test/f1"} <= set(sections(page))


def test_two_runs_side_by_side_show_what_differs_and_the_headline_metric(address: str, project: Any, page: Any) -> None:
    ids = json.dumps([project.better.info.run_id, project.worse.info.run_id])
    page.goto(f"{base(address)}/#/compare-runs?runs={quote(ids)}&experiments={quote(json.dumps([project.experiment]))}")
    expect(page.get_by_text("Comparing 2 Runs from 1 Experiment")).to_be_visible()
    for run in (project.better, project.worse):
        expect(page.get_by_text(run.info.run_name).first).to_be_visible()
    expect(page.get_by_text("test/macro_f1").first).to_be_visible()
    for run in (project.better, project.worse):
        shown = f"{run.data.metrics['test/macro_f1']:.4f}"[:4]  # the page rounds as it has room
        expect(page.get_by_text(re.compile(rf"^{re.escape(shown)}\d*$")).first).to_be_visible()


def test_a_run_says_its_result_first_and_where_it_came_from(address: str, project: Any, page: Any) -> None:
    page.goto(f"{base(address)}/#/experiments/{project.experiment}/runs/{project.better.info.run_id}")
    expect(page.get_by_text(re.compile(r"^macro-F1 0\.\d{4} \[0\.\d{4}, [01]\.\d{4}\], accuracy"))).to_be_visible()
    expect(page.get_by_text("slugline train@topic")).to_be_visible()
    expect(page.get_by_text(re.compile(r"train\.jsonl \([0-9a-f]+\)")).first).to_be_visible()
    expect(page.get_by_text("slugline-topic").first).to_be_visible()


def test_the_report_renders_in_the_run_with_its_confusion_matrix(address: str, project: Any, page: Any) -> None:
    where = f"{base(address)}/#/experiments/{project.experiment}/runs/{project.better.info.run_id}/artifacts"
    page.goto(f"{where}/report.html")
    report = page.frame_locator("iframe").last
    expect(report.get_by_text(re.compile(r"^Right on \d+ of \d+ articles: \d+\.\d %"))).to_be_visible()
    expect(report.get_by_role("heading", name="What is taken for what")).to_be_visible()
    for label in ("business", "entertainment", "politics", "tech"):
        expect(report.locator("#confusion").get_by_text(label, exact=True).first).to_be_visible()
    expect(report.get_by_role("heading", name="Does it read the story or its surroundings?")).to_be_attached()


def test_a_number_of_the_confusion_matrix_leads_to_its_articles(project: Any, page: Any) -> None:
    page.goto((project.folder / "artifacts" / "compare" / "topic" / "comparison.html").as_uri())
    expect(page.get_by_text(re.compile("is better: .* minus .* is"))).to_be_visible()
    page.goto((project.folder / "artifacts" / "topic" / "report.html").as_uri())
    number = page.locator("#confusion td a").first
    target = number.get_attribute("href")
    assert target and target.startswith("#cell-")
    number.click()
    cell = page.locator(target)
    expect(cell).to_be_in_viewport()
    cell.locator("summary").first.click()
    expect(cell.locator("summary").nth(1)).to_be_visible()


def test_pictures_and_tables_render_in_the_run(address: str, project: Any, page: Any) -> None:
    where = f"{base(address)}/#/experiments/{project.experiment}/runs/{project.worse.info.run_id}/artifacts"
    page.goto(f"{where}/figures/confusion.png")
    page.wait_for_function(
        "() => [...document.images].some(image => image.src.startsWith('blob:') && image.naturalWidth > 300)"
    )
    page.goto("about:blank")
    page.goto(f"{where}/tables/errors.json")
    expect(page.get_by_role("columnheader", name="predicted").first).to_be_visible()
    expect(page.get_by_text(re.compile("^business-")).first).to_be_visible()


def test_the_comparison_is_a_run_that_names_the_better_one(address: str, project: Any, page: Any) -> None:
    page.goto(f"{base(address)}/#/experiments/{project.experiment}/runs/{project.comparison.info.run_id}")
    expect(page.get_by_text(re.compile(r"A better, accuracy difference \+0\.\d+, p = 0\.\d{3} on \d+ rows"))).to_be_visible()  # fmt: skip
    assert project.comparison.data.tags["compares.0"] == project.better.info.run_id
    where = page.url
    page.goto("about:blank")
    page.goto(f"{where}/artifacts/comparison.html")
    said = page.frame_locator("iframe").last
    expect(said.get_by_text(re.compile(f"^{re.escape(project.better.info.run_name)} is better: "))).to_be_visible()


def test_the_registry_shows_champion_and_challenger_and_why(address: str, page: Any) -> None:
    page.goto(f"{base(address)}/#/models/slugline-topic")
    expect(page.get_by_text("champion").first).to_be_visible()
    expect(page.get_by_text("challenger").first).to_be_visible()
    page.goto("about:blank")
    page.goto(f"{base(address)}/#/models/slugline-topic/versions/2")
    expect(page.get_by_text("kept", exact=True).first).to_be_visible()
    expect(page.get_by_text(re.compile(r"against the champion's 0\.\d+ on \d+ rows, p = 0\.\d+")).first).to_be_visible()
