"""Training labels for a page's lines: body or not by aligning them with the gold body, and a weak kind from the page's own markup.

Only for making training files; nothing here runs when an article is separated.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import pairwise

from pipeline.document import Kind

_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_N_GRAM = 4
_MIN_RUN = 3
_MAX_GAP = 1500
_IN, _OUT = 0.75, 0.25


def align_lines(lines: Sequence[str], gold_body: str) -> list[int | None]:
    """1 for each line whose words are in the gold body, 0 where they are not, None where some are or it has no words.

    One alignment in order for the whole page: what stands in the body once is found once, so that a teaser that repeats a sentence
    of the story, or a menu that repeats its words, does not count as body.
    """
    tokens, owner = _tokens(lines)
    matched = _matched(tokens, _TOKEN.findall(gold_body.lower()), owner)
    n_tokens, n_matched = Counter(owner), Counter(own for own, hit in zip(owner, matched, strict=True) if hit)
    return [_label(n_matched[number], n_tokens[number]) for number in range(len(lines))]


def _label(n_matched: int, n_tokens: int) -> int | None:
    if not n_tokens:
        return None
    share = n_matched / n_tokens
    return 1 if share >= _IN else 0 if share <= _OUT else None


def _matched(page: list[str], gold: list[str], owner: list[int]) -> list[bool]:
    """Which tokens of the page stand in the gold body, by one alignment in order."""
    pairs = _extended(_anchors(page, gold), page, gold)
    hit = [False] * len(page)
    for i, _ in pairs:
        hit[i] = True
    edges = [(-1, -1), *pairs, (len(page), len(gold))]
    for (i, j), (k, m) in pairwise(edges):
        if k - i > 1 and m - j > 1 and k - i < _MAX_GAP and m - j < _MAX_GAP:
            matcher = SequenceMatcher(None, page[i + 1 : k], gold[j + 1 : m], autojunk=False)
            for start, _, size in matcher.get_matching_blocks():
                if size >= _MIN_RUN or (size and _is_whole_line(owner, i + 1 + start, size)):
                    hit[i + 1 + start : i + 1 + start + size] = [True] * size
    return hit


def _is_whole_line(owner: list[int], start: int, size: int) -> bool:
    end = start + size
    return (start == 0 or owner[start - 1] != owner[start]) and (end == len(owner) or owner[end] != owner[end - 1])


def _anchors(page: list[str], gold: list[str]) -> list[tuple[int, int]]:
    """Positions of n-grams that stand once in the page and once in the gold body, as the longest chain rising in both."""
    in_page, in_gold = _unique(page), _unique(gold)
    pairs = sorted((in_page[gram], in_gold[gram]) for gram in in_page.keys() & in_gold.keys())
    tails: list[int] = []
    tail_at: list[int] = []
    before = [-1] * len(pairs)
    for number, (_, j) in enumerate(pairs):
        place = bisect_left(tails, j)
        before[number] = tail_at[place - 1] if place else -1
        tails[place : place + 1] = [j]
        tail_at[place : place + 1] = [number]
    chain, at = [], tail_at[-1] if tail_at else -1
    while at >= 0:
        chain.append(pairs[at])
        at = before[at]
    return chain[::-1]


def _unique(tokens: list[str]) -> dict[tuple[str, ...], int]:
    grams = [tuple(tokens[i : i + _N_GRAM]) for i in range(len(tokens) - _N_GRAM + 1)]
    counts = Counter(grams)
    return {gram: i for i, gram in enumerate(grams) if counts[gram] == 1}


def _extended(anchors: list[tuple[int, int]], page: list[str], gold: list[str]) -> list[tuple[int, int]]:
    """Each anchor's pairs of equal tokens, grown to both sides as far as they agree and stay in order."""
    pairs: list[tuple[int, int]] = []
    for number, (i, j) in enumerate(anchors):
        last_i, last_j = pairs[-1] if pairs else (-1, -1)
        if i <= last_i or j <= last_j:
            if i - last_i != j - last_j:
                continue
            i, j = last_i + 1, last_j + 1
        grown = []
        back_i, back_j = i - 1, j - 1
        while back_i > last_i and back_j > last_j and page[back_i] == gold[back_j]:
            grown.append((back_i, back_j))
            back_i, back_j = back_i - 1, back_j - 1
        pairs += grown[::-1]
        limit_i, limit_j = anchors[number + 1] if number + 1 < len(anchors) else (len(page), len(gold))
        while i < len(page) and j < len(gold) and page[i] == gold[j] and (i < limit_i or i - limit_i == j - limit_j):
            pairs.append((i, j))
            i, j = i + 1, j + 1
    return pairs


def carried_kinds(page_lines: Sequence[str], kinds: Sequence[Kind | None], lines: Sequence[str]) -> list[Kind | None]:
    """For each of `lines`, another rendering of the same page, the kind of the page's lines that its words come from.

    None where they come from lines of several kinds, from lines without one, or from nowhere.
    """
    tokens, owner = _tokens(lines)
    page, page_owner = _tokens(page_lines)
    votes: list[Counter[Kind | None]] = [Counter() for _ in lines]
    for i, j in _pairs(tokens, page):
        votes[owner[i]][kinds[page_owner[j]]] += 1
    by_text = _kind_by_text(page_lines, kinds)
    n_tokens = Counter(owner)
    return [
        _elected(vote, n_tokens[number]) if vote else by_text.get(_plain(line))
        for number, (line, vote) in enumerate(zip(lines, votes, strict=True))
    ]


def _elected(votes: Counter[Kind | None], n_tokens: int) -> Kind | None:
    kind, n_votes = votes.most_common(1)[0]
    return kind if n_votes >= _IN * n_tokens else None


def _kind_by_text(lines: Sequence[str], kinds: Sequence[Kind | None]) -> dict[str, Kind | None]:
    """The kind of each text that has the same one wherever it stands on the page."""
    found: dict[str, set[Kind | None]] = {}
    for line, kind in zip(lines, kinds, strict=True):
        found.setdefault(_plain(line), set()).add(kind)
    return {text: next(iter(each)) for text, each in found.items() if len(each) == 1 and text}


def _plain(line: str) -> str:
    return " ".join(_TOKEN.findall(line.lower()))


def _tokens(lines: Sequence[str]) -> tuple[list[str], list[int]]:
    """The words of all lines, and for each the number of its line."""
    tokens: list[str] = []
    owner: list[int] = []
    for number, line in enumerate(lines):
        words = _TOKEN.findall(line.lower())
        tokens += words
        owner += [number] * len(words)
    return tokens, owner


def _pairs(left: list[str], right: list[str]) -> list[tuple[int, int]]:
    """Positions of equal tokens by one alignment in order: anchors, what grows from them, and what the gaps between have in common."""
    pairs = _extended(_anchors(left, right), left, right)
    edges = [(-1, -1), *pairs, (len(left), len(right))]
    for (i, j), (k, m) in pairwise(edges):
        if k - i > 1 and m - j > 1 and k - i < _MAX_GAP and m - j < _MAX_GAP:
            matcher = SequenceMatcher(None, left[i + 1 : k], right[j + 1 : m], autojunk=False)
            for block in matcher.get_matching_blocks():
                pairs += [(i + 1 + block.a + n, j + 1 + block.b + n) for n in range(block.size)]
    return pairs
