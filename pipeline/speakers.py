"""Who says what stands in a stretch of text: names, titles and roles before or after a reporting verb.

Rules, not a parser: a subject is a run of capitalised words, a pronoun, or a noun phrase that opens with an article. A pronoun, or a
role ('the keeper said'), is led back to the person named last; a last name to the full name that introduced it.
Reference: Krestel, Bergler and Witte 2008, Minding the Source: Automatic Tagging of Reported Speech (LREC).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_ENGLISH = """said says say saying told tells tell added adds add asked asks ask replied replies reply answered answers wrote writes
warned warns warn insisted insists insist argued argues argue claimed claims claim explained explains explain noted notes note
stated states announced announces declared declares confirmed confirms confirm denied denies deny admitted admits admit conceded concedes
acknowledged acknowledges complained complains joked jokes recalled recalls remembered remembers predicted predicts promised promises
vowed vows pledged pledges suggested suggests urged urges called calls described describes praised praises criticised criticizes
criticized criticises condemned condemns accused accuses blamed blames hailed hails thanked thanks commented comments concluded concludes
continued continues countered counters observed observes pointed points remarked remarks reported reports responded responds revealed
reveals shouted shouts cried cries whispered whispers quipped quips sighed sighs laughed laughs smiled snapped tweeted tweets posted posts
testified testifies believes believed thinks thought stressed stresses emphasised emphasized reiterated repeated repeats advised advises agreed agrees
alleged alleges boasted boasts cautioned cautions challenged cited cites demanded demands dismissed dismisses disputed estimated
estimates expressed hoped hopes lamented lamented maintained maintains mused muttered objected offered ordered protested protests
put puts quoted read reads reasoned recommended recommends rejected rejects retorted ruled scoffed speculated spoke summed
swore yelled termed dubbed labelled labeled likened rated mocked begged grumbled marvelled marveled went goes
appealed apologised apologized contended cleared pleaded declined began begins assured assures found finds has-said had-said"""
_OTHERS = """sagte sagt erklärte erklärt betonte betont meinte meint teilte teilt versprach verspricht warnte warnt kritisierte kritisiert lobte lobt
schrieb schreibt berichtete berichtet fragte fragt antwortete antwortet ergänzte ergänzt forderte fordert bestätigte bestätigt klagte klagt
dit a-dit déclaré déclare affirme affirmé souligne souligné explique expliqué ajoute ajouté assure assuré ironise sourit lance lancé raconte
raconté estime estimé regrette regretté dénonce dénoncé rappelle répond confie prévient promet soupire insiste résume
dijo dice afirmó afirma declaró declara explicó explica añadió añade aseguró asegura señaló señala lamentó lamenta protestó protesta contó
cuenta advirtió advierte insistió reconoció denunció criticó celebró respondió resumió bromeó recordó
detto ha-detto spiega spiegato racconta afferma aggiunge disse commenta dichiarato
сказал сказала заявил заявила говорит сообщил сообщила добавил добавила отметил отметила пояснил объяснил рассказал рассказала считает"""
_VERBS = "|".join(
    sorted({verb for verb in (_ENGLISH + " " + _OTHERS).split() if "-" not in verb}, key=lambda v: (-len(v), v))
)
_AUXILIARY = r"(?:(?:used to|has|have|had|would|could|will|also|later|then|once|again|often|publicly|reportedly|repeatedly|a-t-(?:il|elle)|a|ha|hat|habe|s'est|was|is|is said to have)\s+)*"
_ADVERB = r"(?:\w+ly\s+|also\s+|then\s+|later\s+)?"
VERB = re.compile(rf"(?<![\w-]){_ADVERB}{_AUXILIARY}(?P<verb>{_VERBS})(?![\w-]|['’]s)")
_ACCORDING = re.compile(
    r"\b(?:[Aa]ccording to|[Ii]n the (?:words|view|opinion) of|[Ss]elon|[Ss]egún|[Ll]aut|[Ss]econdo|[Pp]or palabras de|[Ff]or)\s+"
)
_SOURCE = re.compile(r"\b(?:according to|in the (?:words|view|opinion) of|selon|según|laut)\s+")
_PRONOUN = r"(?:[Hh]e|[Ss]he|[Tt]hey|[Ii]t|[Ii]l|[Ee]lle|[Ee]r|[Ss]ie|[Oo]n)"
_CLITIC = re.compile(r"\w+-(?:t-)?(?:il|elle|on)\b")
_PARTICLE = (
    r"(?:de la|de las|de los|del|de|da|di|dos|van der|van den|van|von|der|den|al|el|bin|ibn|le|la|du|des|zu|ter|ten|y)"
)
_CAPITAL = r"(?:(?:[A-Z]|Dr|Mr|Mrs|Ms|Prof|Gen|Col|Lt|Sgt|Capt|Sen|Rep|Gov|St)\.|[^\W\d_a-zß-öø-ÿа-я][\w'’&-]*)"
_NAME = re.compile(rf"(?<!\w){_CAPITAL}(?:[ \t]+(?:{_PARTICLE}[ \t]+)?{_CAPITAL})*")
_UNKNOWN_VERB = re.compile(
    rf"(?:(?:se|s['’]|a|ha)\s*)?[^\W\d_A-Z]\w*\s+(?={_CAPITAL}[ \t]+(?:{_PARTICLE}[ \t]+)?{_CAPITAL})"
)
_DETERMINER = r"(?:the|an?|his|her|its|their|our|my|one|another|some|two|three|four|several|many|der|die|das|ein|eine|le|la|les|l['’]|un|une|el|los|las|una|il|lo|gli)"
_PREPOSITION = (
    r"(?:in|at|on|to|after|with|from|by|about|as|during|before|over|when|who|whose|which|that|and|than|said|says|told)"
)
_NOUN_PHRASE = re.compile(
    rf"{_DETERMINER}(?:\s+(?!{_PREPOSITION}\b)(?:(?:of|for|de|du|des|della)\s+(?:the\s+|la\s+|les\s+)?)?(?!{_DETERMINER}\s|dem\s|den\s)[\w'’-]+){{1,7}}",
    re.IGNORECASE,
)
_CAPITALISED_ANYWAY = """the a an but and or so yet in on at for from by with as if when while after before since although though however
still then there this that these those it its he she they we you i his her their our my one two no not yes asked
speaking what who why how monday tuesday wednesday thursday friday saturday sunday january february march april may
june july august september october november december last next earlier later meanwhile shown few many some most
both all each every another other even only just here now today yesterday according to under over about into
because der die das le la les el los las un une eine ein il elle er sie on en según selon laut man au aux dans pour
sur avec"""
_NOT_NAMES = frozenset(_CAPITALISED_ANYWAY.split())
_THINGS = re.compile(
    r"(?i)^(?:the|an?|one|another)\s+(?:\w+\s+)?(?:banner|sign|poster|placard|label|sticker|headline|film|book|song|novel|play|slogan|inscription|plaque|t-shirt)\b"
)
_SPOKESMAN = re.compile(r"(?i)^(?:an?|the|one)\s+(?:spokes\w+|statement|representative|spokesman)\s+(?:for|of|from)\s+")


_TITLE = re.compile(
    r"(?:(?:US|UK|Prime|Vice|Deputy|Former|Chief|President|Minister|Senator|Chancellor|Mr|Mrs|Ms|Dr|Prof|Professor|Sir|Lord|Lady|Captain|Colonel|"
    r"General|Lieutenant|Sergeant|Major|Judge|Director|Mayor|Governor|Secretary|Representative|Officer|Detective|Inspector|Herr|Frau|Madame|Señor)\.?\s+)+"
)
_SENTENCE_BREAK = re.compile(r"\x1a[\"”»“]\s+(?=[A-Z])|(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\b[A-Z])[.!?…]['\"”’»]?\s+|\n+")
_FINITE = re.compile(
    r"\s(?:has|have|had|is|was|were|are|will|would|did|does|do|hat|wird|war|(?!need)\w+ed|bedauert\w*|\w+te|\w{3,}(?<![sui])s)(?=\s|$)|$"
)


@dataclass(frozen=True, slots=True)
class Speaker:
    """A speaker by the fullest name the text gives, and where that name is first written."""

    name: str
    span: tuple[int, int]


@dataclass(slots=True)
class Names:
    """The names of a text without its quotations, and who was named last at any place."""

    text: str
    spans: list[tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.spans = [span for span in map(self._bare, _NAME.finditer(self.text)) if span[1] > span[0]]

    def person_before(self, at: int) -> Speaker | None:
        """The person named last before a place, the subject of its sentence where it names several; else the last name at all."""
        before = [span for span in self.spans if span[1] <= at]
        people = [span for span in before if self._is_person(*span)]
        if people:
            sentence = self._sentence_start(people[-1][0])
            return self.canonical(*next(span for span in people if span[0] >= sentence))
        others = [span for span in before if not self._is_place(span[0])]
        return self.canonical(*others[-1]) if others else None

    def canonical(self, start: int, end: int) -> Speaker:
        """The first, fuller name that ends in the same word, else the name itself."""
        words = self.text[start:end].split()
        for a, b in self.spans:
            if b > start:
                break
            known = self.text[a:b].split()
            if known[-1] == words[-1] and set(words) <= set(known) and self._is_person(a, b):
                return self._untitled(a, b)
        return self._untitled(start, end)

    def thing_before(self, at: int) -> Speaker | None:
        """The noun phrase or name that opens the nearest earlier sentence that opens with one."""
        starts = [0, *(found.end() for found in _SENTENCE_BREAK.finditer(self.text, 0, at))]
        for start in reversed(starts[:-1] if len(starts) > 1 else starts):
            if (name := next(((a, b) for a, b in self.spans if a == start), None)) is not None:
                return self.canonical(*name)
            found = _NOUN_PHRASE.match(self.text, start, at)
            if found and (verb := _FINITE.search(found[0])) is not None:
                end = found.start() + len(found[0][: verb.start()].rstrip())
                return Speaker(self.text[found.start() : end], (found.start(), end))
        return None

    def _untitled(self, start: int, end: int) -> Speaker:
        """The name without a title where two words remain, with the article that belongs to it ('the FBI')."""
        if title := _TITLE.match(self.text, start, end):
            start = title.end() if len(self.text[title.end() : end].split()) > 1 else start
        article = re.search(r"(?:^|(?<=\W))(?:[Tt]he|[Dd]ie|[Dd]er|[Dd]as) $", self.text[:start])
        start = article.start() if article and "\n" not in article[0] else start
        return Speaker(self.text[start:end], (start, end))

    def _sentence_start(self, at: int) -> int:
        ends = [found.end() for found in _SENTENCE_BREAK.finditer(self.text, 0, at)]
        return ends[-1] if ends else 0

    def _is_person(self, start: int, end: int) -> bool:
        """Whether a name has two words, is the last of an earlier such name, or stands in apposition (', Goran,')."""
        words = self.text[start:end].split()
        if self._is_place(start):
            return False
        if len(words) > 1:
            return True
        known = any(b <= start and self.text[a:b].endswith(" " + words[0]) for a, b in self.spans)
        return known or (self.text[start - 2 : start] == ", " and self.text[end : end + 1] == ",")

    def _is_place(self, start: int) -> bool:
        return (
            re.search(r"\b(?:in|at|to|from|near|across)\s$", self.text[max(0, start - 12) : start].lower()) is not None
        )

    def _bare(self, found: re.Match[str]) -> tuple[int, int]:
        """The name without words that are capitalised for other reasons in front, and without a possessive behind."""
        start, end = found.span()
        piece = found[0]
        while piece and piece.split()[0].casefold().rstrip(".,") in _NOT_NAMES:
            head = re.match(r"\S+\s*", piece)
            start += len(head[0]) if head else len(piece)
            piece = self.text[start:end]
        possessive = re.search(r"(?:['’]s?|[.,])$", piece)
        return start, end - (len(possessive[0]) if possessive else 0)


def speaker_after(text: str, start: int, end: int, names: Names) -> Speaker | None:
    """The speaker that the words after a quotation name: 'said X', 'X said', 'X, the Y, told Z', 'according to X'."""
    part = text[start:end]
    lead = re.match(r"[^\w\x1a]*", part)
    begin = start + (lead.end() if lead else 0)
    stop = _next_quotation(text, begin, end)
    if begin >= stop:
        return None
    if found := _ACCORDING.match(text, begin, stop):
        return _subject(text, found.end(), _clause_end(text, found.end(), stop), names, first=True)
    if _CLITIC.search(text, begin, stop):
        return _meant("il", begin, names)
    verb = VERB.search(text, begin, stop)
    if verb is None and (unknown := _UNKNOWN_VERB.match(text, begin, stop)) is not None:
        return _inverted(text, unknown.end(), stop, names)
    if verb is None:
        source = _SOURCE.search(text, begin, stop)
        return (
            _subject(text, source.end(), _clause_end(text, source.end(), stop), names, first=True) if source else None
        )
    if verb.start() == begin:
        return _inverted(text, verb.end(), stop, names)
    if (
        re.search(r"\b(?:and|but|while|when|which|as|that)\s", text[begin : verb.start()])
        and text[begin].islower()
        and not re.match(_DETERMINER, text[begin:], re.I)
    ):
        return None
    return _subject(text, begin, verb.start(), names, first=False) or _inverted(text, verb.end(), stop, names)


def speaker_before(text: str, start: int, end: int, names: Names) -> Speaker | None:
    """The speaker that the words between the start of the sentence and a quotation name."""
    if (bracketed := re.search(r"\s\(\W?$", text[start:end])) is not None:
        return next((names.canonical(a, b) for a, b in names.spans if b == start + bracketed.start()), None)
    if (elliptic := re.search(r",\s+(?:and\s+)?(\S+) of \W?$", text[start:end])) is not None:
        return next((names.canonical(a, b) for a, b in names.spans if a == start + elliptic.start(1)), None)
    begin = _after_last_quotation(text, start, end)
    if begin > start and not VERB.search(text, begin, end):
        return None
    for verb in reversed(list(VERB.finditer(text, begin, end))):
        if verb["verb"] in ("called", "dubbed", "termed") and not text[verb.end() : end].strip(" \"“„«'‘"):
            return None
        clause = _clause_start(text, begin, verb.start())
        if found := _subject(text, clause, verb.start(), names, first=False):
            return found
        if text[clause : verb.start()].strip(" ,who"):
            return None
        if found := _opening_name(text, begin, verb.start(), names):
            return found
    for found in reversed(list(_ACCORDING.finditer(text, begin, end))):
        if found[0].strip().lower() != "for":
            return _subject(text, found.end(), _clause_end(text, found.end(), end), names, first=True)
    if text[:end].rstrip(" \"“„«'‘\x1a").endswith(":"):
        return _opening_name(text, begin, end, names)
    return None


def reported_by(text: str, start: int, end: int, mention: tuple[int, int]) -> str | None:
    """Whose view a sentence reports without quoting, None for the outlet's own; the mention must not be in the subject."""
    names = Names(text)
    for found in _ACCORDING.finditer(text, start, end):
        if found[0].strip().lower() != "for":
            speaker = _subject(text, found.end(), _clause_end(text, found.end(), end), names, first=True)
            if speaker and not (speaker.span[0] < mention[1] and mention[0] < speaker.span[1]):
                return speaker.name
    for verb in VERB.finditer(text, start, end):
        if verb.start() >= mention[1] or mention[0] >= verb.end():
            clause = _clause_start(text, start, verb.start())
            speaker = _subject(text, clause, verb.start(), names, first=False)
            inside = clause <= mention[0] < verb.start()
            if speaker and not inside and verb.start() < mention[0]:
                return speaker.name
            if speaker and not inside and mention[1] <= clause and text[clause - 2 : clause].strip() == ",":
                return speaker.name
    return None


def _subject(text: str, start: int, end: int, names: Names, *, first: bool) -> Speaker | None:
    """The speaker in a stretch that ends at a verb (or, `first`, begins with the speaker)."""
    part = text[start:end].strip(" ,;:—–")
    if not part or "\x1a" in part:
        return None
    start = text.index(part, start)
    if re.fullmatch(rf"(?:.*\b(?:but|and|that|which|,)\s+)?{_PRONOUN}", part):
        return _meant(part.split()[-1], start, names)
    if _THINGS.match(part) or re.search(r"\b(?:who|which|that)$", part):
        return _named_in(text, start, start + len(part), names, first=True) if re.search(r"\bwho$", part) else None
    if spokesman := _SPOKESMAN.match(part):
        return _phrase(text, start + spokesman.end(), start + len(part), names)
    if (pair := re.search(rf"({_CAPITAL}) and {_CAPITAL}$", part)) is not None and not first and " " not in pair[1]:
        return Speaker(part[pair.start() :], (start + pair.start(), start + len(part)))
    named = _named_in(text, start, start + len(part), names, first=first)
    return named or _phrase(text, start, start + len(part), names)


def _named_in(text: str, start: int, end: int, names: Names, *, first: bool) -> Speaker | None:
    """The person among the comma-separated parts: one that is a name from end to end, else one that begins or ends with it."""
    parts, at = [], start
    for piece in re.split(r",\s+", text[start:end]):
        parts.append((text.index(piece, at), text.index(piece, at) + len(piece)))
        at = parts[-1][1]
    inside = [(a, b) for a, b in names.spans if start <= a and b <= end]
    for a, b in parts:
        whole = next(
            (
                (x, y)
                for x, y in inside
                if (x, y) == (a, b) or (x >= a and y == b and x - a < 30 and _is_role(text[a:x]))
            ),
            None,
        )
        if whole:
            return names.canonical(*whole)
    a, b = parts[0] if first or len(parts) > 1 else (start, end)
    opening = next(((x, y) for x, y in inside if x == a or (a < x and y <= b and _is_role(text[a:x]))), None)
    if opening and (text[opening[1] : opening[1] + 1] not in ("'", "’")):
        return names.canonical(*opening)
    two = [(x, y) for x, y in inside if len(text[x:y].split()) > 1 and y == end]
    if two:
        return names.canonical(*two[-1])
    if re.match(r"(?i)an?\s", text[start:end]) and inside and inside[-1][1] == end:
        return names.canonical(*inside[-1])
    return None


def _meant(pronoun: str, at: int, names: Names) -> Speaker | None:
    if pronoun.lower() == "it":
        return names.thing_before(at)
    return names.person_before(at) or names.thing_before(at)


def _is_role(words: str) -> bool:
    """Whether the words before a name are a role or title in lower case, as in 'the engineer Ivo Mandel'."""
    inner = words.split()
    return (
        bool(inner)
        and len(inner) <= 5
        and not any(word in ("of", "for", "in", "at", "from", "to", "with", "by", "on", "as") for word in inner)
    )


def _phrase(text: str, start: int, end: int, names: Names) -> Speaker | None:
    """A role or body without a name: who was named last if the role can be a person's, else the words themselves."""
    if (name := next(((a, b) for a, b in names.spans if a == start and b <= end), None)) is not None:
        owned = re.compile(r"['’]s?(?:\s+[\w-]+){1,4}$").match(text, name[1], end)
        return Speaker(text[start:end], (start, end)) if owned else names.canonical(*name)
    found = _NOUN_PHRASE.match(text, start, end)
    if found is None:
        return None
    words = Speaker(found[0].rstrip(), (start, start + len(found[0].rstrip())))
    if re.match(r"(?i)its\b", found[0]):
        return names.thing_before(start) or words
    if re.match(r"(?i)(?:the|his|her|their|der|die|das|le|la|el)\s", found[0]) and (
        person := names.person_before(start)
    ):
        return person if len(person.name.split()) > 1 else words
    return words


def _inverted(text: str, start: int, end: int, names: Names) -> Speaker | None:
    """The speaker after a verb: 'said the engineer Ivo Mandel, who', 'read a statement from the embassy of Tarvia'."""
    begin = start + len(text[start:end]) - len(text[start:end].lstrip())
    stop = _clause_end(text, begin, end)
    while (
        skipped := re.match(r"(?:also|again|then|today|yesterday|later|mit|dem|den|à|al|a los)\s+", text[begin:stop])
    ) is not None:
        begin += skipped.end()
    if pronoun := re.match(rf"{_PRONOUN}\b", text[begin:stop]):
        return _meant(pronoun[0], begin, names)
    if spokesman := _SPOKESMAN.match(text[begin:stop]):
        return _phrase(text, begin + spokesman.end(), stop, names)
    apposed = re.compile(rf",\s+(?={_CAPITAL})").match(text, stop, end)
    reach = (
        _clause_end(text, apposed.end(), end) if apposed and re.match(_DETERMINER + r"\s", text[begin:stop]) else stop
    )
    inside = [(a, b) for a, b in names.spans if begin <= a and b <= reach and text[b : b + 2] not in ("'s", "’s")]
    inside = [(a, b) for a, b in inside if apposed is None or reach == stop or a == apposed.end()] or inside
    if inside and reach > stop and inside[0][0] == (apposed.end() if apposed else -1):
        return names.canonical(*inside[0])
    if inside and (inside[0][0] == begin or _is_role(text[begin : inside[0][0]])):
        return names.canonical(*inside[0])
    return _phrase(text, begin, stop, names)


def _opening_name(text: str, start: int, end: int, names: Names) -> Speaker | None:
    inside = [(a, b) for a, b in names.spans if start <= a and b <= end]
    if inside and not text[start : inside[0][0]].strip(' ,"'):
        return names.canonical(*inside[0])
    return names.person_before(end) if re.match(rf"\s*{_PRONOUN}\b", text[start:end]) else None


def _clause_start(text: str, start: int, end: int) -> int:
    """Where the clause before a verb begins: after the last conjunction or, without one, at the start."""
    cuts = [
        found.end()
        for found in re.finditer(
            r"[;:—–]\s|,?\s(?:but|while|that|when|as|because|in which)\s|,\sand\s|\sand\s(?=\w+ed\s|said)|,\s(?=(?:he|she|they|it)\s)|\x1a\W*",
            text[start:end],
        )
    ]
    best = start + cuts[-1] if cuts else start
    lead = re.match(
        r"(?:In|On|At|After|Before|Since|During|By|For|Asked|Shown|Speaking|Writing|When|Le|El)\b[^,]*,\s+",
        text[best:end],
    )
    return best + (lead.end() if lead else 0)


def _clause_end(text: str, start: int, end: int) -> int:
    found = re.search(
        r",\s|[;:()]|\s[—–-]\s|\s(?:who|whose|which|that|in a|in an|on [A-Z]|after|before|when|while|told|said|has|had|is|was|ist|sei|hat|est|es|at the)\b|\x1a|[\"“„«]",
        text[start:end],
    )
    return start + (found.start() if found else end - start)


def _next_quotation(text: str, start: int, end: int) -> int:
    found = text.find("\x1a", start, end)
    return end if found < 0 else found


def _after_last_quotation(text: str, start: int, end: int) -> int:
    found = text.rfind("\x1a", start, end)
    return start if found < 0 else found + 1
