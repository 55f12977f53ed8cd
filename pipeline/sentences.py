"""Sentences of a text as spans, by sentencex (Wikimedia; rules for over 240 languages, in Rust)."""

from __future__ import annotations

from sentencex import get_sentence_boundaries  # pyright: ignore[reportAttributeAccessIssue]

LANGUAGE = (
    "en"  # its rules for full stops serve other European languages too; unknown scripts fall back to their own marks
)


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """The sentences as `[start, end)` in code points, in order, without the blanks around them; a line break ends one."""
    spans = []
    begin = 0
    for line in text.split("\n"):
        for found in get_sentence_boundaries(LANGUAGE, line) if line.strip() else ():
            start, end = begin + int(found["start_index"]), begin + int(found["end_index"])
            piece = text[start:end]
            start += len(piece) - len(piece.lstrip())
            end = start + len(piece.strip())
            if end > start:
                spans.append((start, end))
        begin += len(line) + 1
    return spans
