"""What an encoder reads of a text and its target: token ids, with the target first and marked where it stands.

    [CLS] target [SEP] text before [OPEN] target [CLOSE] text after [SEP]

A target that the text does not name is a claim about it: `[CLS] claim [SEP] text [SEP]`, of a long text the passages that repeat most
of the claim. What does not fit is cut where it is furthest from the target. With a stand-in the target goes by that name wherever it is
named, so that who it is says nothing about what is said of it; a pronoun names nobody and stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.classifiers import claim_cues
from pipeline.classifiers.target import mention_of, mention_pattern
from pipeline.document import Example

OPEN, CLOSE = -1, -2  # no rows of the encoder's vocabulary: the network learns vectors for them
_PRONOUNS = frozenset(
    "he him his himself she her hers herself it its they them their theirs we us our ours i me my you your who".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Token ids, the segment of each, and the half-open range of tokens that the target is read at."""

    ids: tuple[int, ...]
    segments: tuple[int, ...]
    on: tuple[int, int]


@dataclass(frozen=True, slots=True)
class PairMaker:
    """Pairs of at most `max_tokens` tokens, of which the target takes at most `max_target_tokens`, once in front and once in place.

    `stand_in` is the name that a target named in the text goes by, null for its own.
    """

    tokenizer: Any
    max_tokens: int
    max_target_tokens: int
    stand_in: str | None = None

    def pair(self, example: Example) -> Pair:
        """The pair of an example; without target its text alone."""
        mention = mention_of(example)
        if mention is None:
            return self._claim(example)
        start, end = mention
        own = example.text[start:end]
        named = self._ids(own if own.lower() in _PRONOUNS else self.stand_in or own)[: self.max_target_tokens]
        room = self.max_tokens - 2 * len(named) - 5
        reach = 12 * self.max_tokens
        before = self._ids(self._anonymous(example.text[max(0, start - reach) : start], example))
        after = self._ids(self._anonymous(example.text[end : end + reach], example))
        n_before = min(len(before), max(room // 2, room - len(after)))
        before, after = before[len(before) - n_before :], after[: room - n_before]
        first = [self._first, *named, self._last]
        second = [*before, OPEN, *named, CLOSE, *after, self._last]
        at = len(first) + len(before)
        return _joined(first, second, (at, at + len(named) + 2))

    def _claim(self, example: Example) -> Pair:
        claim = self._ids(example.target or "")[: self.max_tokens // 2]
        room = self.max_tokens - len(claim) - 3
        text = self._ids(example.text[: 12 * self.max_tokens])
        if len(text) > room and example.target:
            best = claim_cues.passages(example.target, example.text)
            text = self._ids(best[: 12 * self.max_tokens]) or text
        first = [self._first, *claim, self._last]
        return _joined(first, [*text[:room], self._last], (1, len(first) - 1) if claim else (0, 1))

    def _anonymous(self, text: str, example: Example) -> str:
        """A part of the text, the target's name in it replaced by the stand-in."""
        if self.stand_in is None or not example.target or example.target.lower() in _PRONOUNS:
            return text
        return mention_pattern(example.target).sub(lambda _: self.stand_in or "", text)

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    @property
    def _first(self) -> int:
        return self.tokenizer.encode("").ids[0]

    @property
    def _last(self) -> int:
        return self.tokenizer.encode("").ids[-1]


def _joined(first: list[int], second: list[int], on: tuple[int, int]) -> Pair:
    return Pair((*first, *second), (0,) * len(first) + (1,) * len(second), on)
