"""How well and how fast lines are separated, beside other tools: one table for plain text, one for HTML, one for speed.

Plain text: the labelled lines of dev-test; tools that only read HTML get each line as a paragraph. HTML: the raw pages of
dev-test, the body against the gold body by 4-gram shingles. Gradient boosting and the CRF are trained here on dev-train, on
the project's own features. Intervals are bootstraps over sites. What is not installed is skipped with a line.

    python benchmarks/separate.py [--only text html speed] [--pages 470] [--baselines] [--draws 500]
"""

from __future__ import annotations

import argparse
import html as html_escape
import importlib
import importlib.metadata
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(threads, "1")

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
from pipeline.document import Article, Document, Kind
from pipeline.separate import Separator
from pipeline.separate.features import extract
from pipeline.separate.labelled import LabelledDocument, read_documents, read_rows, text_of
from pipeline.separate.quality import calibration_error, f1, macro_f1, shingle_counts, shingles

DATA = ROOT.parent / "shared" / "data"
NEAR_CLEAN = ("traf_recall_all", "readability", "justext_permissive", "resiliparse_main")
PACKAGES = (
    "trafilatura",
    "resiliparse",
    "readability-lxml",
    "jusText",
    "newspaper4k",
    "boilerpy3",
    "lightgbm",
    "python-crfsuite",
)
LineJudge = Callable[[Sequence[LabelledDocument]], list[np.ndarray]]
PageReader = Callable[[Sequence[str]], list[str]]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool by name; `make` imports it and gives what judges or reads, or raises ImportError."""

    name: str
    make: Callable[[], Callable]


def main(arguments: argparse.Namespace) -> None:
    print("versions:", ", ".join(f"{name} {_version(name)}" for name in PACKAGES))
    if not (DATA / "lines" / "dev-test.jsonl.zst").is_file():
        print("skipped: ../shared/data is not there")
        return
    if "text" in arguments.only:
        measure_text(arguments)
    if "html" in arguments.only:
        measure_html(arguments)
    if "speed" in arguments.only:
        measure_speed()


def measure_text(arguments: argparse.Namespace) -> None:
    """Print macro-F1 and shingle F1 of each tool on the labelled lines of dev-test, all and near-clean variants."""
    documents = read_documents(DATA / "lines" / "dev-test.jsonl.zst")
    tools = [Tool("slugline", lambda: slugline_lines), *TEXT_TOOLS, *(BASELINES if arguments.baselines else [])]
    print(
        f"\n## Plain text: {len(documents)} documents of {len({d.site for d in documents})} sites (macro-F1 of lines / shingle F1)"
    )
    print(f"{'':22}{'all variants':>31}" + "".join(f"{name:>20}" for name in NEAR_CLEAN))
    for tool in tools:
        judge = _made(tool)
        if judge is None:
            continue
        judged = judge(documents)
        cells = [_line_figures([d.variant == v for d in documents], documents, judged) for v in NEAR_CLEAN]
        every = _line_figures([True] * len(documents), documents, judged)
        low, high = _interval(documents, judged, arguments.draws)
        print(
            f"{tool.name:22}{every:>16} [{low:.3f}, {high:.3f}]" + "".join(f"{cell:>20}" for cell in cells), flush=True
        )


def measure_html(arguments: argparse.Namespace) -> None:
    """Print shingle F1 of each tool's body on the raw pages of dev-test, with CPU time per page."""
    rows = [row for row in read_rows(DATA / "pages" / "dev-test.jsonl.zst") if row["gold_body"]][: arguments.pages]
    golds = [shingles(row["gold_body"]) for row in rows]
    is_article = np.array([row["page_type"] == "article" for row in rows])
    print(f"\n## HTML: {len(rows)} pages, {is_article.sum()} of them articles (shingle F1; pages a CPU second)")
    print(f"{'':34}{'all':>8}{'articles':>10}{'pages/s':>9}")
    pages = [row["html"] for row in rows]
    for tool in [Tool("slugline, batches of 32", lambda: slugline_pages), *PAGE_TOOLS]:
        read = _made(tool)
        if read is None:
            continue
        read(pages[:1])
        began = time.process_time()
        bodies = read(pages)
        seconds = time.process_time() - began
        counts = np.array([shingle_counts(body, gold) for body, gold in zip(bodies, golds, strict=True)])
        print(
            f"{tool.name:34}{f1(*counts.sum(axis=0)):8.4f}{f1(*counts[is_article].sum(axis=0)):10.4f}{len(rows) / seconds:9.1f}",
            flush=True,
        )


def measure_speed() -> None:
    """Print articles of 3 KB a CPU second on one core, whole path from string to typed lines."""
    stories = list(read_rows(ROOT / "seeds" / "articles.jsonl"))
    lines = [line["text"] for row in stories for line in row["lines"]]
    texts = [_of_size(lines, start, 3000) for start in range(0, 4 * 997, 4)]
    separator = Separator.load()
    batch = [Article(id=str(i), text=text) for i, text in enumerate(texts)]
    separator.separate_batch(batch[:50])
    print(f"\n## Speed: {len(texts)} articles of {np.mean([len(text) for text in texts]):.0f} characters, one core")
    for name, work in (
        ("slugline, batch", lambda: separator.separate_batch(batch)),
        ("slugline, one by one", lambda: _one_by_one(separator, texts[:200])),
    ):
        n = len(texts) if "batch" in name else 200
        print(f"{name:34}{n / _best_seconds(work):9.0f} articles/s", flush=True)
    judge = _made(Tool("jusText", _justext))
    if judge is not None:
        documents = [_unlabelled(text) for text in texts[:200]]
        print(
            f"{'jusText, lines as paragraphs':34}{len(documents) / _best_seconds(lambda: judge(documents)):9.0f} articles/s",
            flush=True,
        )


def slugline_lines(documents: Sequence[LabelledDocument]) -> list[np.ndarray]:
    found = Separator.load().separate_batch([Article(id=str(i), text=text_of(d)) for i, d in enumerate(documents)])
    kept = [document for document in found if isinstance(document, Document)]
    probabilities = np.concatenate([[line.body for line in document.lines] for document in kept])
    labels = np.concatenate([document.body for document in documents])
    print(f"(slugline: expected calibration error of P(body) {calibration_error(probabilities, labels):.4f})")
    return [np.array([line.kind == Kind.BODY for line in document.lines]) for document in kept]


def slugline_pages(pages: Sequence[str]) -> list[str]:
    separator = Separator.load()
    articles = [Article(id=str(i), html=html) for i, html in enumerate(pages)]
    found = [one for i in range(0, len(articles), 32) for one in separator.separate_batch(articles[i : i + 32])]
    return [one.body if isinstance(one, Document) else "" for one in found]


def _c4() -> LineJudge:
    """The line rules of C4: terminal punctuation and five words."""
    return lambda documents: [
        np.array([line.rstrip().endswith((".", "!", "?", '"', "”")) and len(line.split()) >= 5 for line in d.lines])
        for d in documents
    ]


def _every() -> LineJudge:
    return lambda documents: [np.ones(len(d.lines), bool) for d in documents]


def _justext() -> LineJudge:
    justext = importlib.import_module("justext")
    stops = justext.get_stoplist("English")

    def judge(documents: Sequence[LabelledDocument]) -> list[np.ndarray]:
        return [
            np.array([not p.is_boilerplate for p in justext.justext(_as_page(d.lines), stops)][: len(d.lines)])
            for d in documents
        ]

    return lambda documents: [_fitted(one, len(d.lines)) for one, d in zip(judge(documents), documents, strict=True)]


def _trafilatura_lines() -> LineJudge:
    trafilatura = importlib.import_module("trafilatura")

    def judge(documents: Sequence[LabelledDocument]) -> list[np.ndarray]:
        bodies = [set((trafilatura.extract(_as_page(d.lines)) or "").split("\n")) for d in documents]
        return [
            np.array([" ".join(line.split()) in body for line in d.lines])
            for d, body in zip(documents, bodies, strict=True)
        ]

    return judge


def _boosting() -> LineJudge:
    """Gradient boosting over the features of a line and of three lines to each side, trained on dev-train."""
    lightgbm = importlib.import_module("lightgbm")
    train = read_documents(DATA / "lines" / "dev-train.jsonl.zst")
    x, y = np.concatenate([_window(d) for d in train]), np.concatenate([d.body for d in train])
    model = lightgbm.LGBMClassifier(
        n_estimators=300, num_leaves=63, learning_rate=0.1, n_jobs=1, verbose=-1, random_state=0
    )
    model.fit(x[y >= 0], y[y >= 0])
    return lambda documents: [np.asarray(model.booster_.predict(_window(d))) >= 0.5 for d in documents]


def _crf() -> LineJudge:
    """A linear-chain CRF over the same features of the line itself, binned, trained on dev-train."""
    crfsuite = importlib.import_module("pycrfsuite")
    trainer = crfsuite.Trainer(algorithm="lbfgs", verbose=False)
    trainer.set_params({"c2": 1.0, "max_iterations": 60})
    for document in read_documents(DATA / "lines" / "dev-train.jsonl.zst"):
        known = document.body >= 0
        trainer.append(
            [row for row, k in zip(_binned(document), known, strict=True) if k], [str(y) for y in document.body[known]]
        )
    path = ROOT / ".benchmark.crf"
    trainer.train(str(path))
    tagger = crfsuite.Tagger()
    tagger.open(str(path))
    path.unlink()
    return lambda documents: [np.array([label == "1" for label in tagger.tag(_binned(d))]) for d in documents]


def _trafilatura_page(**options: bool) -> PageReader:
    trafilatura = importlib.import_module("trafilatura")
    return _each(lambda html: trafilatura.extract(html, **options) or "")


def _resiliparse_page() -> PageReader:
    extract_plain_text = importlib.import_module("resiliparse.extract.html2text").extract_plain_text
    return _each(lambda html: extract_plain_text(html, main_content=True))


def _readability_page() -> PageReader:
    readability, lxml = importlib.import_module("readability"), importlib.import_module("lxml.html")
    return _each(lambda html: lxml.fromstring(readability.Document(html).summary()).text_content())


def _justext_page() -> PageReader:
    justext = importlib.import_module("justext")
    stops = justext.get_stoplist("English")
    return _each(lambda html: "\n".join(p.text for p in justext.justext(html, stops) if not p.is_boilerplate))


def _newspaper_page() -> PageReader:
    newspaper = importlib.import_module("newspaper")

    def read(html: str) -> str:
        article = newspaper.Article("https://example.org/", language="en", fetch_images=False)  # no network
        article.download(input_html=html)
        article.parse()
        return article.text

    return _each(read)


def _boilerpy_page() -> PageReader:
    extractor = importlib.import_module("boilerpy3.extractors").ArticleExtractor()
    return _each(extractor.get_content)


TEXT_TOOLS = [
    Tool("every line is body", _every),
    Tool("C4 line rules", _c4),
    Tool("jusText", _justext),
    Tool("trafilatura", _trafilatura_lines),
]
BASELINES = [Tool("boosting, +-3 lines", _boosting), Tool("CRF", _crf)]
PAGE_TOOLS = [
    Tool("trafilatura", lambda: _trafilatura_page()),
    Tool("trafilatura, precision", lambda: _trafilatura_page(favor_precision=True)),
    Tool("trafilatura, recall", lambda: _trafilatura_page(favor_recall=True)),
    Tool("trafilatura, fast", lambda: _trafilatura_page(fast=True)),
    Tool("trafilatura, no comments or tables", lambda: _trafilatura_page(include_comments=False, include_tables=False)),
    Tool("resiliparse, main content", _resiliparse_page),
    Tool("readability-lxml", _readability_page),
    Tool("jusText", _justext_page),
    Tool("newspaper4k", _newspaper_page),
    Tool("boilerpy3, article", _boilerpy_page),
]


def _made(tool: Tool) -> Callable | None:
    try:
        return tool.make()
    except ImportError as error:
        print(f"{tool.name:22}skipped: {error}")
        return None


def _each(read: Callable[[str], str]) -> PageReader:
    """The bodies of pages read one by one, nothing where the tool fails on a page."""

    def read_one(html: str) -> str:
        try:
            return read(html)
        except Exception:  # whatever a peer raises on a page counts as an empty body
            return ""

    return lambda pages: [read_one(html) for html in pages]


def _line_figures(chosen: Sequence[bool], documents: Sequence[LabelledDocument], judged: Sequence[np.ndarray]) -> str:
    rows = [i for i, one in enumerate(chosen) if one]
    lines = macro_f1(np.concatenate([judged[i] for i in rows]), np.concatenate([documents[i].body for i in rows]))
    counts = np.array([_shingle_row(documents[i], judged[i]) for i in rows])
    return f"{lines:.4f} / {f1(*counts.sum(axis=0)):.4f}"


def _shingle_row(document: LabelledDocument, is_body: np.ndarray) -> tuple[float, float, float]:
    body = "\n".join(line for line, one in zip(document.lines, is_body, strict=True) if one)
    return shingle_counts(body, shingles(document.gold_body))


def _interval(documents: Sequence[LabelledDocument], judged: Sequence[np.ndarray], n_draws: int) -> tuple[float, float]:
    """The 95 % bootstrap interval of macro-F1 over all lines, drawing whole sites."""
    sites = sorted({document.site for document in documents})
    counts = np.zeros((len(sites), 4))
    for document, is_body in zip(documents, judged, strict=True):
        for column, (said, label) in enumerate(((True, 1), (True, 0), (False, 1), (False, 0))):
            counts[sites.index(document.site), column] += ((is_body == said) & (document.body == label)).sum()
    rng = np.random.default_rng(0)
    drawn = [counts[rng.integers(0, len(sites), len(sites))].sum(axis=0) for _ in range(n_draws)]
    scores = [(f1(tp, fp, fn) + f1(tn, fn, fp)) / 2 for tp, fp, fn, tn in drawn]
    return tuple(np.percentile(scores, (2.5, 97.5)))  # type: ignore[return-value]


def _window(document: LabelledDocument) -> np.ndarray:
    dense = extract([text_of(document)], max_lines=1 << 30).dense.astype(np.float32)
    padded = np.pad(dense[:, :40], ((3, 3), (0, 0)))
    return np.hstack([dense, *(padded[i : i + len(dense)] for i in (0, 1, 2, 4, 5, 6))])


def _binned(document: LabelledDocument) -> list[dict[str, float]]:
    dense = np.round(extract([text_of(document)], max_lines=1 << 30).dense, 2)
    return [{str(i): float(value) for i, value in enumerate(row) if value} for row in dense]


def _as_page(lines: Sequence[str]) -> str:
    return "<html><body>" + "".join(f"<p>{html_escape.escape(line)}</p>" for line in lines) + "</body></html>"


def _fitted(judged: np.ndarray, n_lines: int) -> np.ndarray:
    """The judgements, with False for lines that the tool did not return."""
    return np.pad(judged, (0, n_lines - len(judged))).astype(bool)


def _of_size(lines: Sequence[str], start: int, n_chars: int) -> str:
    return "\n".join(_cycled(lines, start))[:n_chars]


def _cycled(lines: Sequence[str], start: int) -> Iterator[str]:
    return (lines[(start + i) % len(lines)] for i in range(80))


def _one_by_one(separator: Separator, texts: Sequence[str]) -> None:
    for text in texts:
        separator.separate(text)


def _best_seconds(work: Callable[[], object], n_times: int = 3) -> float:
    """The least CPU time of some runs: what others do on the machine only ever adds."""
    seconds = []
    for _ in range(n_times):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds)


def _unlabelled(text: str) -> LabelledDocument:
    lines = tuple(line for line in text.split("\n") if line.strip())
    return LabelledDocument("", "", "", lines, np.zeros(len(lines), np.int8), np.zeros(len(lines), np.int8))


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=("text", "html", "speed"), default=("text", "html", "speed"))
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument(
        "--baselines", action="store_true", help="train gradient boosting and the CRF too (many minutes)"
    )
    main(parser.parse_args())
