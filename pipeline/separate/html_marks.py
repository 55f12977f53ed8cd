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
    ("content", r"articlebody|article|story|body|content|entry|post(?!al|er)|paragraph|prose|rich-?text|wysiwyg"),
    ("text", r"(?<![a-z])text(?![a-z])|txt|copy(?!right)|description"),
    (
        "menu",
        r"nav|menu|breadcrumb|crumb|pagination|pager|(?<![a-z])skip|masthead|topbar|toolbar|tabs?(?![a-z])|toc(?![a-z])",
    ),
    ("tags", r"(?<![a-z])tags?(?![a-z])|topic|categor|keyword|taxonomy|kicker|eyebrow|label"),
    (
        "related",
        r"relat|(?<![a-z])more|recommend|recirc|read-?(?:also|next|more)|up-?next|next-?up|also-?like|outbrain|taboola|see-?also"
        r"|similar|further|onward|in-?line-?link|you-?may",
    ),
    (
        "popular",
        r"popular|trending|latest|most-?(?:read|view)|top-?stor|headlines|ticker|featured|must-?read|hot(?![a-z])",
    ),
    (
        "teaser",
        r"teaser|card|tease|promo-?item|feed|river|grid|carousel|slider|swiper|list-?item|thumb|tile|collection|stream",
    ),
    (
        "share",
        r"share|sharing|social|follow|facebook|twitter|whatsapp|linkedin|pinterest|addthis|like-?button|bookmark|save",
    ),
    (
        "signup",
        r"subscri|newsletter|sign-?up|sign-?in|log-?in|register|paywall|(?<![a-z])cta|membership|donat|account|email|piano|meter"
        r"|regwall|download-?app",
    ),
    ("comment", r"comment|disqus|respond|reply|discussion|livefyre|coral|viafoura|spot-?im|openweb"),
    (
        "legal",
        r"foot(?!age|ball)|copyright|legal|cookie|consent|privacy|gdpr|terms(?![a-z])|disclaim|disclosure|colophon|licen[cs]e",
    ),
    (
        "advert",
        r"(?<![a-z])ads?(?![a-z])|advert|promo|sponsor|dfp|gpt(?![a-z])|banner|commercial|affiliate|partner|ad-?slot|adunit",
    ),
    ("caption", r"caption|credit|figure|photo|image|gallery|media|video|slideshow|(?<![a-z])alt(?![a-z])|embed|player"),
    ("byline", r"byline|author|writer|contributor|reporter|creator|bio(?![a-z])"),
    ("date", r"(?<![a-z])date|publish|time(?!line)|meta|posted|updated|modified|dateline"),
    ("headline", r"headline|title|(?<![a-z])hed(?![a-z])|heading"),
    (
        "lead",
        r"lead(?![a-z])|lede|standfirst|intro|summary|dek(?![a-z])|subhead|sub-?title|excerpt|abstract|deck(?![a-z])|strapline",
    ),
    (
        "sidebar",
        r"sidebar|aside|widget|rail(?![a-z])|side-?col|complementary|secondary|tertiary|column-?right|right-?col",
    ),
    (
        "hidden",
        r"hidden|modal|popup|pop-?up|overlay|sr-only|screen-?reader|visually|tooltip|toast|dialog|lightbox|offscreen|print",
    ),
    ("header", r"(?<![a-z])header|site-?name|logo|brand|banner|top-?bar|search"),
    ("quote", r"quote|pull-?quote|blockquote|testimonial"),
    ("faq", r"faq|question|answer|accordion|review|rating|price|product|cart|shop|recipe"),
)
"""Groups of words, each one bit; a name is read once from left to right, so that the first group that matches takes the word."""

N_CONTAINERS = len(_CONTAINERS)
BITS: tuple[str, ...] = (*_CONTAINERS, *(f"word_{name}" for name, _ in _WORDS))
"""What each bit of a mark means, from the lowest."""

_BIT = {name: 1 << i for i, name in enumerate(BITS)}
_WORD_PATTERN = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _WORDS))
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")

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


def attribute_marks(attributes: dict[str, str | None]) -> tuple[int, str]:
    """The bits that an element's attributes set, and its class and id as one string (its look, for telling repeated shapes)."""
    names = " ".join([value for key, value in attributes.items() if value and key in _NAMING])
    bits = word_marks(names[:_MAX_NAME_CHARS]) if names else 0
    role = attributes.get("role")
    return (bits | _ROLE_BIT.get(role, 0) if role else bits), attributes.get("class") or ""


@lru_cache(maxsize=32768)
def word_marks(names: str) -> int:
    """The bits of the word groups that occur in `names`."""
    bits = 0
    for match in _WORD_PATTERN.finditer(_CAMEL.sub("-", names).lower().replace("_", "-")):
        bits |= _BIT[f"word_{match.lastgroup}"]
    return bits


def is_hidden(attributes: dict[str, str | None]) -> bool:
    """Whether the element says that it is not shown."""
    style = attributes.get("style")
    return (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or (style is not None and _HIDDEN_STYLE.search(style) is not None)
    )
