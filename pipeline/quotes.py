"""Quotations in a text, each with the speaker it is attributed to.

The decision that is not obvious: marks are paired within a line, and a line that ends inside a quotation ends it; where the
next line opens with a mark again, the speech goes on and so does its speaker. Who speaks is read by `pipeline.speakers` from the
words outside all quotations. Deliberately missed: speech without marks, marks left open at both ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pipeline.sentences import sentence_spans
from pipeline.speakers import Names, Speaker, speaker_after, speaker_before

FILLER = "\x1a"  # stands for each character of a quotation in the text that speakers are sought in
_CLOSERS = {
    "“": "”“",
    "”": "”",
    "„": "“”",
    "«": "»",
    "»": "«",
    "‹": "›",
    "›": "‹",
    "‘": "’",
    "‚": "‘’",
    '"': '"',
    "'": "'",
}
_SINGLE = "‘'‚’‹›"
_OPENING_SPACE = re.compile(r"[\s(\[{—–-]|[^\w\s.,;:!?…%)\]]")
_ENDS_SPEECH = re.compile(r"[.!?…,;—–]\W*$")
_N_WORDS_SCARE = 4


@dataclass(frozen=True, slots=True)
class Quote:
    """The words between two marks, `[start, end)`; `holder` is the speaker's fullest name, as first written at `holder_span`."""

    start: int
    end: int
    holder: str | None = None
    holder_span: tuple[int, int] | None = None
    depth: int = 0


def quotes(text: str) -> list[Quote]:
    """The quotations of a text in order, with their speakers; None where no speaker is named, or the marks only distance."""
    found = quote_spans(text)
    outer = [quote for quote in found if quote.depth == 0]
    masked = _masked(text, outer)
    names = Names(masked)
    speakers = _speakers(masked, outer, names)
    answer = [_spoken(quote, speakers.get(quote.start)) for quote in outer]
    return sorted([*answer, *(quote for quote in found if quote.depth)], key=lambda quote: (quote.start, -quote.end))


def quote_at(found: list[Quote], start: int, end: int) -> Quote | None:
    """The innermost quotation that holds the span."""
    inside = [quote for quote in found if quote.start <= start and end <= quote.end]
    return max(inside, key=lambda quote: quote.start, default=None)


def quote_spans(text: str) -> list[Quote]:
    """The spans between paired marks, without blanks at their edges; `depth` counts the quotations around each."""
    found: list[Quote] = []
    begin = 0
    lines = text.split("\n")
    for number, line in enumerate(lines):
        following = next((later.lstrip() for later in lines[number + 1 :] if later.strip()), "")
        found += [_trimmed(text, begin + a, begin + b, depth) for a, b, depth in _in_line(line, following)]
        begin += len(line) + 1
    return sorted((quote for quote in found if quote.end > quote.start), key=lambda quote: (quote.start, -quote.end))


def _in_line(line: str, following: str) -> Iterator[tuple[int, int, int]]:
    open_: list[tuple[str, int]] = []
    for at, mark in enumerate(line):
        if mark not in "“”„«»‹›‘’‚\"'":
            continue
        level = next((i for i in range(len(open_) - 1, -1, -1) if mark in _CLOSERS[open_[i][0]]), None)
        if level is not None and _may_close(line, at, open_[level][0]):
            yield open_[level][1] + 1, at, level
            del open_[level:]
        elif _may_open(line, at, open_):
            open_.append((mark, at))
    # A line that ends inside a quotation: speech that goes on with the next line, or one whose end was forgotten.
    if open_ and open_[0][0] not in _SINGLE and (open_[0][0] != '"' or following.startswith('"')):
        yield open_[0][1] + 1, len(line), 0


def _may_open(line: str, at: int, open_: list[tuple[str, int]]) -> bool:
    mark, before, after = line[at], line[at - 1 : at], line[at + 1 : at + 2]
    if mark not in _CLOSERS or not after or (after.isspace() and mark != "«"):
        return False
    if before and not _OPENING_SPACE.match(before):
        return False
    if any(mark == other for other, _ in open_):
        return False
    if mark in "'‘":
        closers = _CLOSERS[mark]
        rest = line[at + 2 :]
        return any(c in closers and not (rest[i + 1 : i + 2].isalnum()) for i, c in enumerate(rest))
    return True


def _may_close(line: str, at: int, opener: str) -> bool:
    before, after = line[at - 1 : at], line[at + 1 : at + 2]
    if line[at] in "'’":
        return not after.isalnum() and not before.isspace()
    if line[at] == '"' or line[at] == opener:
        return not before.isspace() or not after or not after.isalnum()
    return True


def _trimmed(text: str, start: int, end: int, depth: int) -> Quote:
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    return Quote(start, max(start, start + len(piece.strip())), depth=depth)


def _masked(text: str, outer: list[Quote]) -> str:
    characters = list(text)
    for quote in outer:
        characters[quote.start : quote.end] = FILLER * (quote.end - quote.start)
    return "".join(characters)


def _spoken(quote: Quote, speaker: Speaker | None) -> Quote:
    return replace(quote, holder=speaker.name, holder_span=speaker.span) if speaker else quote


def _speakers(masked: str, outer: list[Quote], names: Names) -> dict[int, Speaker]:
    """The speaker of each quotation by where it starts: named beside it, else that of the speech it goes on with."""
    named: dict[int, Speaker] = {}
    for i, quote in enumerate(outer):
        start, end = _frame(masked, outer, i)
        found = speaker_after(masked, quote.end, end, names) or speaker_before(masked, start, quote.start, names)
        if found:
            named[quote.start] = found
        elif continued := _continued(masked, outer, i, named):
            named[quote.start] = continued
    return _backwards(masked, outer, named, names)


def _frame(masked: str, outer: list[Quote], i: int) -> tuple[int, int]:
    """The words outside quotations that may attribute this one: its sentence, no further than the neighbours' far ends."""
    quote = outer[i]
    line_start = masked.rfind("\n", 0, quote.start) + 1
    line_end = masked.find("\n", quote.end)
    line_end = len(masked) if line_end < 0 else line_end
    start = max([line_start] + [line_start + e for _, e in _sentences(masked[line_start : quote.start - 1])[:-1]])
    if masked[line_start : quote.start - 1].rstrip()[-1:] in tuple(".!?…") and _sentences(
        masked[line_start : quote.start - 1]
    ):
        start = quote.start - 1
    after = masked[quote.end + 1 : line_end]
    until = re.search(r"[.!?…](?=\s|$)|;\s|\n", _without_abbreviations(after))
    return start, quote.end + 1 + (until.start() if until else len(after))


def _sentences(part: str) -> list[tuple[int, int]]:
    return sentence_spans(part.replace(FILLER, "x"))


def _without_abbreviations(text: str) -> str:
    return re.sub(
        r"\b(?:Dr|Mr|Mrs|Ms|Prof|Gen|Col|Lt|Sgt|Capt|Sen|Rep|Gov|St|Rev|Hon|[A-Z])\.", lambda m: m[0][:-1] + "_", text
    )


def _continued(masked: str, outer: list[Quote], i: int, named: dict[int, Speaker]) -> Speaker | None:
    """The speaker of the quotation before, where this one stands alone or goes on with its speech."""
    quote = outer[i]
    if i == 0 or outer[i - 1].start not in named:
        return None
    before = outer[i - 1]
    between = masked[before.end + 1 : quote.start - 1]
    same_line = "\n" not in between
    if _is_whole(masked, quote) and (same_line or _stands_alone(masked, quote)):
        return named[before.start]
    lists = same_line and not re.search(r"[.!?]\s", between) and len(between.split()) <= 12
    return named[before.start] if lists else None


def _backwards(masked: str, outer: list[Quote], named: dict[int, Speaker], names: Names) -> dict[int, Speaker]:
    """As given, with speech that is attributed only after it goes on, or by the person whom the sentence before is about."""
    answer = dict(named)
    for i in range(len(outer) - 1, -1, -1):
        quote = outer[i]
        if quote.start in answer or not _is_whole(masked, quote):
            continue
        following = outer[i + 1] if i + 1 < len(outer) else None
        joined = (
            following and following.start in answer and not masked[quote.end : following.start].strip(' \n"“”„»«,.—–-')
        )
        if following and joined:
            answer[quote.start] = answer[following.start]
        elif (person := names.person_before(quote.start - 1)) and not masked[quote.end + 1 :].split("\n")[0].strip():
            answer[quote.start] = person
    return answer


def _is_whole(masked: str, quote: Quote) -> bool:
    """Whether it is speech in its own right: it opens a line or follows the end of a sentence or a colon."""
    before = masked[: quote.start - 1].rstrip(" \t")
    return not before or before[-1] in "\n.!?…:—–" or before[-1] in '"”»“' or quote.end - quote.start > 60


def _stands_alone(masked: str, quote: Quote) -> bool:
    line = masked[masked.rfind("\n", 0, quote.start) + 1 :].split("\n")[0]
    return not re.search(r"\w", line.replace(FILLER, ""))
