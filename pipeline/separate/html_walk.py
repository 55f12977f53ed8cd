"""A parsed page in, its lines and the blocks that hold them out: one pass over the tree, without recursion.

Every block covers a run of lines, `first` to `end`, so that what a container holds is later a difference of two running sums.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from selectolax.lexbor import LexborNode

from pipeline.separate.html_marks import BLOCKS, CELLS, LISTS, SECTIONS, SKIPPED, TAG_BIT, attribute_marks, is_hidden

INLINE_BIT = {
    "time": 1,
    **dict.fromkeys(("strong", "b"), 2),
    **dict.fromkeys(("em", "i"), 4),
    "label": 8,
    "small": 16,
    "cite": 32,
}
_STRONG = INLINE_BIT["strong"]


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

    tag: list[str] = field(default_factory=list)
    parent: list[int] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    end: list[int] = field(default_factory=list)
    list_: list[int] = field(default_factory=list)
    section: list[int] = field(default_factory=list)
    look: list[str] = field(default_factory=list)
    own: list[int] = field(default_factory=list)


class TooDeep(Exception):
    """The tree is deeper than the limit."""


class _Frame(NamedTuple):
    """What an open element means for the text in it.

    `marks` are its and its ancestors' bits, `own` its own, `near` those of the nearest three elements that say anything, `link`
    the number of the link it is in, or 0.
    """

    block: int
    marks: int
    own: int
    outer_own: int
    near: int
    inline: int
    link: int
    is_hidden: bool


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
                return walker.lines, walker.blocks
            node = parent
            walker.close()
        node = following
    return walker.lines, walker.blocks


class _Walker:
    """The state of one pass: the open elements, the line being gathered, the lines and blocks so far."""

    __slots__ = ("_n_links", "_was_link", "blocks", "frames", "lines", "pieces", "spans")

    def __init__(self) -> None:
        self.lines: list[WalkedLine] = []
        self.blocks = Blocks()
        self.frames: list[_Frame] = [_Frame(-1, 0, 0, 0, 0, 0, 0, False)]
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
            self._was_link = frame.link > 0
        elif self.spans:
            self.pieces.append(" ")

    def open(self, tag: str, node: LexborNode) -> None:
        """Enter an element. One that says nothing shares the frame of the element around it."""
        outer = self.frames[-1]
        attributes = node.attributes
        if attributes:
            own, look = attribute_marks(attributes)
            hidden = outer.is_hidden or is_hidden(attributes)
        else:
            own, look, hidden = 0, "", outer.is_hidden
        own |= TAG_BIT.get(tag, 0)
        block, link = outer.block, outer.link
        if tag in BLOCKS:
            block = self._open_block(tag, look, own, block)
        elif tag == "a":
            self._n_links += 1
            link = self._n_links
            if self._was_link:
                self.pieces.append(" ")
        elif tag in CELLS:
            self.pieces.append(" ")
        elif not own and tag not in INLINE_BIT and hidden == outer.is_hidden:
            self.frames.append(outer)
            return
        inline = outer.inline | INLINE_BIT.get(tag, 0)
        near = own | outer.own | outer.outer_own
        self.frames.append(_Frame(block, outer.marks | own, own, outer.own, near, inline, link, hidden))

    def close(self) -> None:
        """Leave the innermost element."""
        frame = self.frames.pop()
        if frame.block != self.frames[-1].block:
            if self.pieces:
                self.end_line()
            self.blocks.end[frame.block] = len(self.lines)

    def _open_block(self, tag: str, look: str, own: int, parent: int) -> int:
        if self.pieces:
            self.end_line()
        blocks = self.blocks
        number = len(blocks.tag)
        blocks.tag.append(tag)
        blocks.parent.append(parent)
        blocks.first.append(len(self.lines))
        blocks.end.append(-1)
        blocks.list_.append(number if tag in LISTS else blocks.list_[parent] if parent >= 0 else -1)
        blocks.section.append(number if tag in SECTIONS else blocks.section[parent] if parent >= 0 else -1)
        blocks.look.append(f"{tag}.{look}")
        blocks.own.append(own)
        return number

    def end_line(self) -> None:
        """Finish the line, if it has any text."""
        if self.spans:
            self.lines.append(_line(" ".join("".join(self.pieces).split()), self.spans))
            self.spans = []
        if self.pieces:
            self.pieces = []
        self._was_link = False


def _line(text: str, spans: list[tuple[_Frame, int, int]]) -> WalkedLine:
    first, n_first, depth = spans[0]
    is_linked = first.link > 0
    if len(spans) == 1:
        n_link, n_strong = n_first * is_linked, n_first if first.inline & _STRONG else 0
        return WalkedLine(
            text, first.block, first.marks, first.near, first.inline, depth, n_first, n_link, n_strong,
            int(is_linked), is_linked, is_linked, first.is_hidden,
        )  # fmt: skip
    n_chars = n_link_chars = n_strong_chars = 0
    inline = 0
    links: set[int] = set()
    for frame, n, _ in spans:
        n_chars += n
        inline |= frame.inline
        if frame.link:
            n_link_chars += n
            links.add(frame.link)
        if frame.inline & _STRONG:
            n_strong_chars += n
    return WalkedLine(
        text,
        first.block,
        first.marks,
        first.near,
        inline,
        depth,
        n_chars,
        n_link_chars,
        n_strong_chars,
        len(links),
        bool(first.link),
        bool(spans[-1][0].link),
        all(frame.is_hidden for frame, _, _ in spans),
    )
