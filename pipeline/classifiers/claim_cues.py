"""How a text relates to a claim, written as words that a linear model can weigh: what it repeats, where, and what it doubts.

Relatedness first: words of the best passages and their doubts are given only where the text repeats enough of the claim, so that an
unrelated text is told by its silence. References: Riedel et al. 2017, A Simple but Tough-to-Beat Baseline for the Fake News Challenge
(arXiv 1707.03264); Hanselowski et al. 2018 (COLING), who found refuting words and the best passages to matter most.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

_WORD = re.compile(r"\w+(?:['’]\w+)?")
_BREAK = re.compile(r"(?<=[.!?])[\"”’)]*\s+(?=[\"“‘(]?[A-Z0-9])|\n+")
_STOP = frozenset(
    """a about after all also an and any are as at be been before being but by can could did do does for from get had has have he her his how i if in
    into is it its just more most my no not of on or our out over own said say says she should so some such than that the their them then there these
    they this to up was we were what when where which who why will with would you your new one two report reports claim claims""".split()  # noqa: SIM905
)
_REFUTING = re.compile(
    r"\b(?:fake|hoax\w*|fals\w+|untrue|den(?:y|ies|ied|ying|ial)|debunk\w*|refut\w+|rebut\w*|dismiss\w*|bogus|myth|pranks?|satir\w+|not true|no truth"
    r"|never happened|did(?:n['’]t| not)|does(?:n['’]t| not)|is(?:n['’]t| not)|was(?:n['’]t| not)|no evidence|retract\w*|wrong|lie[sd]?|lying|fabricat\w+|mislead\w*"
    r"|incorrect\w*|inaccura\w+|rubbish\w*|nonsense|contrary|despite|doubts?|doubtful|skeptic\w*|sceptic\w*|unlikely|questioned|disput\w+|contradict\w*|photoshop\w*|staged|joke)\b",
    re.IGNORECASE,
)
_HEDGING = re.compile(
    r"\b(?:reported(?:ly)?|alleged(?:ly)?|allegations?|apparent(?:ly)?|claim(?:s|ed|ing)?|rumou?r\w*|unconfirmed|unverified|suppos\w+|purport\w*|possibl[ey]|might|may|could"
    r"|perhaps|according|sources?|suggest\w*|believed?|appears?|seems?|yet to|not (?:yet )?(?:been )?confirmed|could not (?:be )?(?:independently )?(?:verif\w+|confirm\w*)"
    r"|investigat\w+|whether|speculat\w+|questions?)\b",
    re.IGNORECASE,
)
_CONFIRMING = re.compile(
    r"\b(?:confirm\w*|announc\w+|reveal\w*|prov(?:e[sdn]?|ing)|verif\w+|acknowledg\w*|admit\w*|official(?:ly)?|found|shows?|showed)\b",
    re.IGNORECASE,
)
_NEGATION = re.compile(r"\b(?:not?|never|none|nor|without|cannot|\w+n['’]t)\b", re.IGNORECASE)
_N_BEST, _RELATED, _N_LEAD = 3, 0.25, 3


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence with the stems of its content words."""

    text: str
    stems: frozenset[str]


def passages(claim: str, text: str) -> str:
    """The sentences that repeat most of the claim, in order of the text; nothing where none repeats enough."""
    best = _best(claim, text)
    return " ".join(sentence.text for sentence in best)


def crossed(claim: str, text: str) -> str:
    """The words of the best passages that the claim lacks, and those of the claim that they lack, each marked."""
    best = _best(claim, text)
    said = frozenset().union(*(sentence.stems for sentence in best)) if best else frozenset[str]()
    own = stems(claim)
    return " ".join(
        [f"adds_{word}" for word in sorted(said - own)] + [f"lacks_{word}" for word in sorted(own - said) if best]
    )


def cues(claim: str, title: str, text: str) -> str:
    """How much of the claim the text repeats in all, at best in one sentence, and in its lead; and who doubts, denies or confirms."""
    own = stems(claim)
    sentences = _sentences(text)
    size = max(1, len(own))
    everywhere = frozenset().union(*(one.stems for one in sentences)) if sentences else frozenset[str]()
    lead = frozenset().union(*(one.stems for one in sentences[:_N_LEAD])) if sentences else frozenset[str]()
    at_best = max((len(own & one.stems) for one in sentences), default=0) / size
    pairs = len(_pairs(claim) & frozenset().union(*(_pairs(one.text) for one in sentences))) if sentences else 0
    found = [
        *_steps("all", len(own & everywhere) / size),
        *_steps("best", at_best),
        *_steps("lead", len(own & lead) / size),
        *_steps("pairs", min(1.0, pairs / size)),
    ]
    if title:
        found += _steps("title", len(own & stems(title)) / size)
    best = _best(claim, text)
    if best:
        found += _attitudes(claim, best, text, sentences)
    return " ".join(found)


def sentence_texts(text: str) -> list[str]:
    """The sentences of a text, in order."""
    return [one.text for one in _sentences(text)]


@lru_cache(maxsize=4096)
def stems(text: str) -> frozenset[str]:
    """The content words of a text without their commonest endings."""
    return frozenset(_stem(word) for word in _WORD.findall(text.casefold()) if word not in _STOP and len(word) > 1)


def _stem(word: str) -> str:
    word = word.removesuffix("'s").removesuffix("’s")
    for ending in ("ing", "ed", "es", "ly", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


@lru_cache(maxsize=16384)
def _pairs(text: str) -> frozenset[tuple[str, str]]:
    words = [_stem(word) for word in _WORD.findall(text.casefold()) if word not in _STOP]
    return frozenset(pairwise(words))


@lru_cache(maxsize=2048)
def _sentences(text: str) -> tuple[Sentence, ...]:
    return tuple(Sentence(part, stems(part)) for part in _BREAK.split(text) if part.strip())


@lru_cache(maxsize=256)
def _best(claim: str, text: str) -> tuple[Sentence, ...]:
    own, sentences = stems(claim), _sentences(text)
    shares = [len(own & one.stems) / max(1, len(own)) for one in sentences]
    everywhere = (
        len(own & frozenset().union(*(one.stems for one in sentences))) / max(1, len(own)) if sentences else 0.0
    )
    if everywhere < _RELATED:
        return ()
    order = sorted(range(len(sentences)), key=lambda i: (-shares[i], i))[:_N_BEST]
    return tuple(sentences[i] for i in sorted(order) if shares[i] > 0)


def _steps(name: str, share: float) -> list[str]:
    return [f"{name}{tenth}" for tenth in range(1, 11) if share >= tenth / 10 - 1e-9]


def _attitudes(claim: str, best: tuple[Sentence, ...], text: str, sentences: tuple[Sentence, ...]) -> list[str]:
    passage = " ".join(one.text for one in best)
    found = []
    for name, pattern in (
        ("refutes", _REFUTING),
        ("hedges", _HEDGING),
        ("confirms", _CONFIRMING),
        ("negates", _NEGATION),
    ):
        in_claim, in_best = min(1, len(pattern.findall(claim))), min(2, len(pattern.findall(passage)))
        in_text = len(pattern.findall(text)) / max(1, len(sentences))
        found += [f"{name}_claim{in_claim}", f"{name}_best{in_best}", f"{name}_both{in_claim}{in_best}"]
        found += [f"{name}_text{step}" for step in range(1, 6) if in_text >= step / 8]
        found += [f"{name}_word_{word.casefold().replace(' ', '_')}" for word in set(pattern.findall(passage))]
    found += (
        ["asks_claim"] * ("?" in claim)
        + ["asks_best"] * ("?" in passage)
        + ["quotes_claim"] * bool(re.search("[\"“‘']", claim))
    )
    place = next((i for i, one in enumerate(sentences) if one in best), 0)
    found.append(f"place{min(4, place)}")
    return found
