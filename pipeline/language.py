"""Which language a text is in, as far as that can be told quickly: for slices, not for decisions."""

from __future__ import annotations

_CHARACTERS = 4_000


def language_of(text: str) -> str | None:
    """The ISO 639-1 code of the language that the text's letters resemble most, or None for short and unknown ones.

    Resiliparse knows some 110 languages of alphabetic scripts by their letter n-grams; on a few words it errs.
    """
    from resiliparse.parse.lang import detect_fast

    code, _ = detect_fast(text[:_CHARACTERS])
    return None if code == "unknown" else code
