"""A text with what it says of its target denied, by rule; for learning that a negated sentence is no longer what it was.

The verb of the clause that holds the target is negated (`is` -> `is not`, `praised` -> `did not praise`), or an indefinite noun there
(`a victory` -> `no victory`). What is not surely a verb is left alone: many texts have no denial. A claim is denied itself.
Deliberately missed: scope, irony, and texts that negate already in the clause.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from pipeline.classifiers.stance_cues import polarities
from pipeline.classifiers.target import mention_of
from pipeline.document import Example

_WORD = re.compile(r"\w+(?:['’]\w+)?|[^\w\s]")
_BREAK = re.compile(r"[.,;:!?—–()\"“”]|(?:but|however|although|though|while|because|which|who)", re.IGNORECASE)
_NEGATIVE = re.compile(r"(?:not?|never|none|nor|neither|without|cannot|hardly|barely|\w+n['’]t)", re.IGNORECASE)
_AUXILIARY = frozenset("is are was were am has have had will would can could should must may might does do did".split())  # noqa: SIM905
_PLAINEST = 0.7  # how often the first way is taken
_NOT = ("not", "not", "never", "no longer", "by no means")
_BEFORE_VERB = frozenset("i he she it we they you who that others many some critics people".split())  # noqa: SIM905
_NOT_BEFORE_VERB = frozenset(
    "the a an of in on at to by for with from and or as be been being very so most more".split()  # noqa: SIM905
)
_IRREGULAR = {
    "went": "go", "made": "make", "took": "take", "gave": "give", "came": "come", "won": "win", "lost": "lose",
    "led": "lead", "became": "become", "found": "find", "kept": "keep", "left": "leave", "held": "hold", "broke": "break",
    "chose": "choose", "knew": "know", "saw": "see", "fought": "fight", "brought": "bring", "sought": "seek", "felt": "feel",
    "met": "meet", "paid": "pay", "ran": "run", "rose": "rise", "fell": "fall", "drew": "draw", "drove": "drive", "threw": "throw", "sent": "send",
    "stood": "stand", "built": "build", "lied": "lie", "got": "get", "began": "begin", "caught": "catch", "taught": "teach", "bought": "buy",
    "sold": "sell", "shot": "shoot", "struck": "strike", "swore": "swear", "wrote": "write", "wore": "wear", "understood": "understand",
    "goes": "go", "makes": "make", "takes": "take", "gives": "give", "wins": "win", "loses": "lose", "leads": "lead",
    "wants": "want", "needs": "need", "deserves": "deserve", "remains": "remain", "believes": "believe", "seems": "seem",
    "knows": "know", "keeps": "keep", "refuses": "refuse", "supports": "support", "opposes": "oppose", "helps": "help", "fails": "fail",
    "faces": "face", "shows": "show", "looks": "look", "likes": "like", "loves": "love", "hates": "hate", "threatens": "threaten", "represents": "represent",
    "causes": "cause", "harms": "harm", "protects": "protect", "improves": "improve", "reduces": "reduce", "increases": "increase", "works": "work",
}  # fmt: skip
_SPEECH = frozenset("tweeted added asked called stated noted claimed argued replied announced reported".split())  # noqa: SIM905
_THIRD_PERSON = frozenset(form for form in _IRREGULAR if form.endswith("s"))


@dataclass(frozen=True, slots=True)
class Change:
    """Words to put in place of the characters from `start` to `end`."""

    start: int
    end: int
    words: str


def denied(example: Example, vocabulary: Collection[str], rng: np.random.Generator) -> Example | None:
    """The example with what it says of its target negated in one way drawn, of a claim the claim; None where no rule applies."""
    mention = mention_of(example)
    text = example.text if mention is not None else example.target or ""
    changes = denials(text, mention, vocabulary)
    if not changes:
        return None
    change = changes[0] if rng.random() < _PLAINEST else changes[int(rng.integers(len(changes)))]
    words = change.words.replace("{not}", _NOT[int(rng.integers(len(_NOT)))])
    changed = text[: change.start] + words + text[change.end :]
    if mention is None:
        return replace(example, target=changed)
    moved = len(changed) - len(text) if change.end <= mention[0] else 0
    return replace(example, text=changed, span=(mention[0] + moved, mention[1] + moved))


def denials(text: str, mention: tuple[int, int] | None, vocabulary: Collection[str]) -> list[Change]:
    """The ways to negate what the text says where it names its target, the plainest first; without mention, what it says first.

    `vocabulary` holds the words by which a verb's plain form is told.
    """
    words = [found for found in _WORD.finditer(text) if mention is None or not _inside(found, mention)]
    place = sum(1 for one in words if mention is not None and one.start() < mention[0])
    start, end = _clause(words, place if mention else 0, place)
    clause = words[start:end]
    if any(_NEGATIVE.fullmatch(one.group()) for one in clause):
        return []
    after, before = words[place:end], words[start:place][::-1]
    for part in (after, before):
        for one in part:
            change = _verb(one, text, vocabulary)
            if change is not None:
                return [change, *_nouns(clause)]
    return _nouns(clause)


def _inside(found: re.Match[str], mention: tuple[int, int]) -> bool:
    return mention[0] <= found.start() < mention[1]


def _clause(words: list[re.Match[str]], before: int, after: int) -> tuple[int, int]:
    start, end = before, after
    while start > 0 and not _BREAK.fullmatch(words[start - 1].group()):
        start -= 1
    while end < len(words) and not _BREAK.fullmatch(words[end].group()):
        end += 1
    return start, end


def _verb(one: re.Match[str], text: str, vocabulary: Collection[str]) -> Change | None:
    word = one.group().lower()
    if word in _AUXILIARY:
        return Change(one.start(), one.end(), f"{one.group()} {{not}}")
    earlier = _WORD.findall(text[max(0, one.start() - 30) : one.start()])[-1:]
    if not earlier or not _may_precede(earlier[0]):
        return None
    plain = _IRREGULAR.get(word) or _plain(word, vocabulary)
    if plain is None:
        return None
    return Change(one.start(), one.end(), f"{'does' if word in _THIRD_PERSON else 'did'} not {plain}")


def _may_precede(word: str) -> bool:
    """Whether a word can be (the end of) a subject: a name, a plural, a pronoun."""
    low = word.lower()
    if low in _NOT_BEFORE_VERB or low in _AUXILIARY or not word[0].isalnum():
        return False
    return word[0].isupper() or low in _BEFORE_VERB or (low.endswith("s") and not low.endswith("ss"))


def _plain(word: str, vocabulary: Collection[str]) -> str | None:
    """The plain form of a regular past form, None where the word is not surely one."""
    if not word.endswith("ed") or len(word) < 5 or word in _SPEECH:
        return None
    stem = word[:-2]
    candidates = [stem[:-1] + "y"] if stem.endswith("i") else [stem + "e", stem]
    if stem[-1] == stem[-2]:
        candidates = [stem, stem[:-1]]
    return next((one for one in candidates if one in vocabulary), None)


def _nouns(clause: list[re.Match[str]]) -> list[Change]:
    """An indefinite article before a polar word, or before a word and a polar one, gives way to a negation."""
    found = []
    for i, one in enumerate(clause):
        following = [word.group().lower() for word in clause[i + 1 : i + 3]]
        if one.group().lower() in ("a", "an") and any(word in polarities() for word in following):
            found += [Change(one.start(), one.end(), "no"), Change(one.start(), one.end(), f"hardly {one.group()}")]
    return found
