"""What the names in markup say: block tags and their classes, containers, and the words in class, id, role and itemprop."""

from __future__ import annotations

import re
from functools import lru_cache

TAG_CLASS: dict[str, str] = {
    "p": "p",
    "h1": "h1",
    "h2": "h2",
    "h3": "h3",
    **dict.fromkeys(("h4", "h5", "h6", "legend", "summary"), "h4"),
    "li": "li",
    **dict.fromkeys(("td", "th", "tr", "caption", "table", "tbody", "thead", "tfoot"), "cell"),
    "figcaption": "figcaption",
    "blockquote": "blockquote",
    **dict.fromkeys(("button", "option", "select"), "button"),
    **dict.fromkeys(("form", "fieldset"), "form"),
    **dict.fromkeys(("pre", "xmp", "listing", "plaintext"), "pre"),
    **dict.fromkeys(("dt", "dd", "dl"), "term"),
    **dict.fromkeys(
        (
            *(
                "article",
                "aside",
                "body",
                "center",
                "details",
                "dialog",
                "div",
                "dir",
                "figure",
                "footer",
                "header",
                "hgroup",
            ),
            *("hr", "html", "main", "menu", "nav", "ol", "search", "section", "ul", "address", "frameset", "marquee"),
        ),
        "div",
    ),
}
"""Each block tag and the class its cue stands under. Cells (`td`, `th`) make no line of their own: a row does."""

CELLS = frozenset(("td", "th"))
BLOCKS = frozenset(TAG_CLASS) - CELLS
LISTS = frozenset(("ul", "ol", "dl", "menu", "dir", "table"))
SECTIONS = frozenset(
    ("article", "main", "section", "aside", "nav", "header", "footer", "form", "figure", "dialog", "table")
)
SKIPPED = frozenset(
    (
        *(
            "script",
            "style",
            "noscript",
            "template",
            "head",
            "svg",
            "math",
            "iframe",
            "object",
            "embed",
            "canvas",
            "video",
            "audio",
        ),
        *(
            "select",
            "textarea",
            "datalist",
            "noembed",
            "noframes",
            "map",
            "picture",
            "-comment",
            "!doctype",
            "-doctype",
        ),
    )
)
"""Elements whose content is not text of the page."""

_CONTAINERS = (
    *(
        "article",
        "main",
        "nav",
        "header",
        "footer",
        "aside",
        "form",
        "figure",
        "section",
        "table",
        "list",
        "blockquote",
    ),
    *("dialog", "heading"),
)
_WORDS: tuple[tuple[str, str], ...] = (
    (
        "content",
        r"article|story|body|content|entry|^posts?$|^postbody|paragraph|prose|richtext|wysiwyg|^post(?:text|copy)",
    ),
    ("text", r"^te?xt|^copy(?!right)|description"),
    ("menu", r"nav|menu|crumb|pagina|pager|^skip|masthead|topbar|toolbar|^tabs?$|^toc$"),
    ("tags", r"^tags?$|topic|categor|keyword|taxonomy|kicker|eyebrow|^label"),
    (
        "related",
        r"relat|^more$|readmore|morefrom|recommend|recirc|^also|alsolike|upnext|outbrain|taboola|similar|further|onward",
    ),
    ("popular", r"popular|trending|latest|^most|headlines|ticker|featured|mustread|topstor|^hot$"),
    ("teaser", r"tease|card|feed|river|grid|carousel|slider|swiper|listitem|thumb|tile|collection|stream"),
    ("share", r"shar(?:e|ing)|social|follow|facebook|twitter|whatsapp|linkedin|pinterest|addthis|bookmark|^save"),
    (
        "signup",
        r"subscri|newsletter|sign(?:up|in)|^sign$|log(?:in|out)|^log$|regist|paywall|^cta|member|donat|account|e?mail|piano|meter|regwall",
    ),
    ("comment", r"comment|disqus|respon[ds]|reply|replies|discuss|livefyre|coral|viafoura|spotim|openweb"),
    (
        "legal",
        r"foot(?!age|ball|wear|note)|copyright|legal|cookie|consent|privacy|gdpr|^terms|disclaim|disclos|colophon|licen[cs]",
    ),
    (
        "advert",
        r"^ads?$|^ads?(?:slot|unit|box|wrap|container|vert)|advert|promo|sponsor|dfp|^gpt|commercial|affiliate|partner|adunit",
    ),
    ("caption", r"caption|credit|figure|photo|image|gallery|media|video|slideshow|^alt$|embed|player|^img"),
    ("byline", r"byline|author|writer|contribut|reporter|creator|^bio$"),
    ("date", r"^date|publi[sc]|^time(?!line)|^meta|posted|update|modified|timestamp"),
    ("headline", r"headline|title|^hed$|heading"),
    ("lead", r"^lead$|lede|standfirst|intro|summary|^de(?:c?k)$|subhe|subtitle|excerpt|abstract|strapline"),
    ("sidebar", r"sidebar|aside|widget|rail$|^side|complementary|secondary|tertiary|rightcol|leftcol"),
    ("hidden", r"hidden|modal|popup|overlay|^sr$|^screen|visually|tooltip|toast|dialog|lightbox|offscreen|^print"),
    ("header", r"^header|sitename|logo|brand|banner|search"),
    ("quote", r"quote|testimonial"),
    ("faq", r"^faq|question|answer|accordion|review|rating|price|product|^cart|shop|recipe"),
)
"""Groups of words, each one bit, as patterns of a word; a word is read once from left to right, the first pattern that matches
taking what it matches."""

N_CONTAINERS = len(_CONTAINERS)
BITS: tuple[str, ...] = (*_CONTAINERS, *(f"word_{name}" for name, _ in _WORDS))
"""What each bit of a mark means, from the lowest."""

_BIT = {name: 1 << i for i, name in enumerate(BITS)}
_WORD_PATTERN = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _WORDS))
_NAME_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_MIN_WORD_CHARS = 2

TAG_BIT: dict[str, int] = {
    **{name: _BIT[name] for name in _CONTAINERS if name not in ("list", "heading")},
    **dict.fromkeys(("ul", "ol", "dl", "menu", "dir"), _BIT["list"]),
    **dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6"), _BIT["heading"]),
    "figcaption": _BIT["figure"],
    "q": _BIT["blockquote"],
}
_ROLE_BIT = {
    "navigation": _BIT["nav"],
    "menu": _BIT["nav"],
    "menubar": _BIT["nav"],
    "banner": _BIT["header"],
    "contentinfo": _BIT["footer"],
    "complementary": _BIT["aside"],
    "article": _BIT["article"],
    "main": _BIT["main"],
    "search": _BIT["form"],
    "form": _BIT["form"],
    "dialog": _BIT["dialog"],
    "alertdialog": _BIT["dialog"],
    "list": _BIT["list"],
    "heading": _BIT["heading"],
    "figure": _BIT["figure"],
}
_NAMING = frozenset(
    (
        "class",
        "id",
        "itemprop",
        "data-component",
        "data-testid",
        "data-module",
        "data-type",
        "aria-label",
        "rel",
        "itemtype",
    )
)
_MAX_NAME_CHARS = 400
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


def attribute_marks(attributes: dict[str, str | None]) -> tuple[int, str, bool]:
    """The bits that an element's attributes set, its class (its look, for telling repeated shapes), and whether they hide it."""
    names = " ".join([value for key, value in attributes.items() if key in _NAMING and value])
    bits = word_marks(names[:_MAX_NAME_CHARS]) if names else 0
    get = attributes.get
    role, style = get("role"), get("style")
    if role:
        bits |= _ROLE_BIT.get(role, 0)
    is_hidden = (
        "hidden" in attributes
        or get("aria-hidden") == "true"
        or (style is not None and _HIDDEN_STYLE.search(style) is not None)
    )
    return bits, get("class") or "", is_hidden


@lru_cache(maxsize=16384)
def word_marks(names: str) -> int:
    """The bits of the word groups that occur in `names`, which are words joined by capitals, hyphens or anything else."""
    bits = 0
    for word in _NAME_WORD.findall(names):
        if len(word) >= _MIN_WORD_CHARS:
            bits |= _marks_of_word(word.lower())
    return bits


@lru_cache(maxsize=65536)
def _marks_of_word(word: str) -> int:
    bits = 0
    for match in _WORD_PATTERN.finditer(word):
        bits |= _BIT[f"word_{match.lastgroup}"]
    return bits
