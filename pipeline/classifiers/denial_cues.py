"""Who denies a claim, and where: the words of doubt in the claim and in the sentences of a text that speak of it, written as words.

A text that calls a story a hoax disagrees with a claim that tells it, and agrees with a claim that calls it a hoax too: so each word is
given alone and joined with whether the claim itself doubts. Nothing where the text repeats too little of the claim.
Reference: Hanselowski et al. 2018 (COLING), who found refuting words to matter most for `disagree`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from pipeline.classifiers import claim_cues

_DOUBTING = re.compile(
    r"\b(?:fake[ds]?|hoax\w*|false(?:ly)?|untrue|den(?:y|ies|ied|ying|ial)|debunk\w*|refut\w+|rebut\w*|dismiss\w*|bogus|myths?|pranks?\w*|satir\w+"
    r"|not true|no truth|never happened|no evidence|retract\w*|fabricat\w+|mislead\w*|incorrect\w*|inaccura\w+|rubbish\w*|nonsense|doubt\w*|s[kc]eptic\w*"
    r"|unlikely|implausib\w+|impossible|contradict\w*|photoshop\w*|staged|joke\w*|lie[sd]|lying|made[- ]up|urban legend|not the case|not real"
    r"|isn['’]t (?:true|real)|wasn['’]t|didn['’]t|hasn['’]t|not dead|alive|disput\w+|fooled|duped|tricked|mistak\w+|misidentif\w+|misunderst\w+|misreport\w*"
    r"|correction|apologi[sz]\w+|ruled out|unfounded|baseless|turns? out|actually|in fact|however)\b",
    re.IGNORECASE,
)
_DENYING = frozenset(
    "fake faked hoax hoaxes false untrue denied denies debunked not_true no_truth bogus prank satirical satire fabricated no_evidence".split()  # noqa: SIM905
)
_ABOUT, _FOLLOWS, _N_ENDS, _N_CHARS = 0.2, 0.4, 3, 12


@dataclass(frozen=True, slots=True)
class Doubts:
    """The content words of a sentence, and its words of doubt."""

    stems: frozenset[str]
    words: frozenset[str]


def cues(claim: str, text: str) -> str:
    """Words of doubt anywhere and near the claim's own words, how many, how early, and whether the claim doubts too."""
    if not claim_cues.passages(claim, text):
        return ""
    sentences, own = _doubts(text), claim_cues.stems(claim)
    in_claim = frozenset(map(_name, _DOUBTING.findall(claim)))
    close = [i for i in range(len(sentences)) if sentences[i].words and _speaks_of(sentences, i, own)]
    anywhere, near = _words(sentences), _words([sentences[i] for i in close])
    n_doubting = sum(bool(one.words) for one in sentences)
    side = int(bool(in_claim))
    found = [f"hs{side}", *(f"hs_{word}" for word in in_claim), *(f"any_{word}" for word in anywhere)]
    found += [f"{place}_{word}" for word in near for place in ("near", f"near{side}")]
    found += _levels("nn", side, [n for n in range(1, 6) if len(close) >= n])
    found += _levels("na", side, [n for n in (1, 2, 3, 5, 8) if n_doubting >= n])
    found += _levels("share", side, [n for n in range(1, 8) if 10 * n_doubting >= n * len(sentences)])
    found += [f"first{min(5, close[0])}"] if close else []
    lead, tail = _words(sentences[:_N_ENDS]), _words(sentences[-_N_ENDS:])
    found += [f"lead_{word}" for word in lead]
    found += [f"core{side}{_denies(near)}{_denies(anywhere)}", f"leadcore{side}{_denies(lead)}"]
    return " ".join(sorted([*found, f"lastcore{side}{_denies(tail)}"]))


@lru_cache(maxsize=4096)
def _doubts(text: str) -> tuple[Doubts, ...]:
    return tuple(
        Doubts(claim_cues.stems(one), frozenset(map(_name, _DOUBTING.findall(one))))
        for one in claim_cues.sentence_texts(text)
    )


def _speaks_of(sentences: tuple[Doubts, ...], i: int, own: frozenset[str]) -> bool:
    """Whether a sentence repeats some of the claim, or follows one that repeats much."""

    def share(one: Doubts) -> float:
        return len(own & one.stems) / max(1, len(own))

    return share(sentences[i]) >= _ABOUT or (i > 0 and share(sentences[i - 1]) >= _FOLLOWS)


def _words(sentences: tuple[Doubts, ...] | list[Doubts]) -> frozenset[str]:
    return frozenset[str]().union(*(one.words for one in sentences))


def _levels(name: str, side: int, levels: list[int]) -> list[str]:
    return [f"{name}{n}" for n in levels] + [f"{name}{side}{n}" for n in levels]


def _denies(words: frozenset[str]) -> int:
    return int(bool(words & _DENYING))


def _name(word: str) -> str:
    return re.sub(r"\W+", "_", word.casefold())[:_N_CHARS]
