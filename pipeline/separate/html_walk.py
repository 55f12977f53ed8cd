"""A parsed page in, its lines and the blocks that hold them out: one pass over the tree, without recursion.

Every block covers a run of lines, `first` to `end`, so that what a container holds is later a difference of two running sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from selectolax.lexbor import LexborNode

from pipeline.separate.html_marks import BLOCKS, CELLS, LISTS, SECTIONS, SKIPPED, TAG_BIT, attribute_marks

INLINE_BIT = {
    "time": 1,
    **dict.fromkeys(("strong", "b"), 2),
    **dict.fromkeys(("em", "i"), 4),
    "label": 8,
    "small": 16,
    "cite": 32,
}
_STRONG = INLINE_BIT["strong"]
_LINK = 6


class WalkedLine(NamedTuple):
    """One line: its text, the block it stands in, and counts over its text. `inline` holds the bits of INLINE_BIT."""

    text: str
    block: int
    marks: int
    near: int
    inline: int
    depth: int
    n_chars: int
    n_link_chars: int
    n_strong_chars: int
    n_links: int
    starts_with_link: bool
    ends_with_link: bool
    is_hidden: bool


@dataclass(slots=True)
class Blocks:
    """Block elements in document order, as columns. `list_` and `section` are the nearest such ancestors or -1, `own` the bits."""

    tag: Sequence[str] = ()
    parent: Sequence[int] = ()
    first: Sequence[int] = ()
    list_: Sequence[int] = ()
    section: Sequence[int] = ()
    look: Sequence[str] = ()
    own: Sequence[int] = ()
    end: Sequence[int] = ()


class TooDeep(Exception):
    """The tree is deeper than the limit."""


_Frame = tuple[int, int, int, int, int, int, int, bool]
"""What an open element means for the text in it: block, marks, own, outer own, near, inline, link, is hidden.

`marks` are its and its ancestors' bits, `own` its own, `near` those of the nearest three elements that say anything, `link`
the number of the link it is in, or 0.
"""


def walk(root: LexborNode | None, max_depth: int) -> tuple[list[WalkedLine], Blocks]:
    """The lines of a tree in document order, and its blocks.

    Raises:
        TooDeep: an element is more than `max_depth` below the root.
    """
    walker = _Walker()
    frames = walker.frames
    node = root
    while node is not None:
        child = None
        tag = node.tag or ""
        if tag == "-text":
            walker.add(node.text_content or "")
        elif tag == "br":
            walker.end_line()
        elif tag not in SKIPPED:
            child = node.child
            if child is not None:
                if len(frames) > max_depth:
                    raise TooDeep
                walker.open(tag, node)
                node = child
                continue
            if tag in BLOCKS:
                walker.end_line()
        while (following := node.next) is None:
            parent = node.parent
            if parent is None or len(frames) == 1:
                walker.end_line()
                return walker.lines, walker.blocks()
            node = parent
            walker.close()
        node = following
    return walker.lines, walker.blocks()


class _Walker:
    """The state of one pass: the open elements, the line being gathered, the lines and blocks so far."""

    __slots__ = ("_blocks", "_ends", "_n_links", "_was_link", "frames", "lines", "pieces", "spans")

    def __init__(self) -> None:
        self.lines: list[WalkedLine] = []
        self._blocks: list[tuple[str, int, int, int, int, str, int]] = []
        self._ends: list[int] = []
        self.frames: list[_Frame] = [(-1, 0, 0, 0, 0, 0, 0, False)]
        self.pieces: list[str] = []
        self.spans: list[tuple[_Frame, int, int]] = []
        self._n_links = 0
        self._was_link = False

    def add(self, text: str) -> None:
        """Gather a piece of text into the line."""
        n_chars = len(text.strip())
        if n_chars:
            frame = self.frames[-1]
            self.pieces.append(text)
            self.spans.append((frame, n_chars, len(self.frames)))
            self._was_link = frame[_LINK] > 0
        elif self.spans:
            self.pieces.append(" ")

    def open(self, tag: str, node: LexborNode) -> None:
        """Enter an element. One that says nothing shares the frame of the element around it."""
        frames = self.frames
        block, marks, outer_own, outest_own, _, inline, link, was_hidden = frames[-1]
        attributes = node.attributes
        own, look, hidden = attribute_marks(attributes) if attributes else (0, "", False)
        own |= TAG_BIT.get(tag, 0)
        hidden = hidden or was_hidden
        if tag in BLOCKS:
            block = self._open_block(tag, look, own, block)
        elif tag == "a":
            self._n_links += 1
            link = self._n_links
            if self._was_link:
                self.pieces.append(" ")
        elif tag in CELLS:
            self.pieces.append(" ")
        elif not own and tag not in INLINE_BIT and hidden == was_hidden:
            frames.append(frames[-1])
            return
        inline |= INLINE_BIT.get(tag, 0)
        frames.append((block, marks | own, own, outer_own, own | outer_own | outest_own, inline, link, hidden))

    def close(self) -> None:
        """Leave the innermost element."""
        block = self.frames.pop()[0]
        if block != self.frames[-1][0]:
            if self.pieces:
                self.end_line()
            self._ends[block] = len(self.lines)

    def _open_block(self, tag: str, look: str, own: int, parent: int) -> int:
        if self.pieces:
            self.end_line()
        number = len(self._blocks)
        list_, section = self._blocks[parent][3:5] if parent >= 0 else (-1, -1)
        list_, section = number if tag in LISTS else list_, number if tag in SECTIONS else section
        self._blocks.append((tag, parent, len(self.lines), list_, section, f"{tag}.{look}", own))
        self._ends.append(-1)
        return number

    def blocks(self) -> Blocks:
        """The blocks so far."""
        return Blocks(*zip(*self._blocks, strict=True), end=self._ends) if self._blocks else Blocks()

    def end_line(self) -> None:
        """Finish the line, if it has any text."""
        if self.spans:
            self.lines.append(_line(" ".join("".join(self.pieces).split()), self.spans))
            self.spans = []
        if self.pieces:
            self.pieces = []
        self._was_link = False


def _line(text: str, spans: list[tuple[_Frame, int, int]]) -> WalkedLine:
    (block, marks, _, _, near, inline, link, hidden), n_chars, depth = spans[0]
    n_link_chars = n_chars if link else 0
    n_strong_chars = n_chars if inline & _STRONG else 0
    n_links, starts_with_link, ends_with_link = int(link > 0), link > 0, link > 0
    if len(spans) > 1:
        n_chars = n_link_chars = n_strong_chars = 0
        links: set[int] = set()
        for frame, n, _ in spans:
            _, _, _, _, _, bits, link, is_hidden = frame
            n_chars += n
            inline |= bits
            if link:
                n_link_chars += n
                links.add(link)
            if bits & _STRONG:
                n_strong_chars += n
            hidden = hidden and is_hidden
        n_links, ends_with_link = len(links), link > 0
    return WalkedLine(
        text, block, marks, near, inline, depth, n_chars, n_link_chars, n_strong_chars,
        n_links, starts_with_link, ends_with_link, hidden,
    )  # fmt: skip
