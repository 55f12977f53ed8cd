"""How separated documents look: the page's style sheet and the terminal's colours, a tint for each kind."""

from __future__ import annotations

from pipeline.document import Kind

_TINTS: dict[Kind, tuple[int, str]] = {
    Kind.HEADLINE: (272, "magenta"),
    Kind.BYLINE: (192, "blue"),
    Kind.CAPTION: (156, "cyan"),
    Kind.RELATED: (28, "yellow"),
    Kind.NAVIGATION: (230, "blue"),
    Kind.ENGAGEMENT: (338, "magenta"),
    Kind.COMMENTS: (84, "green"),
    Kind.LEGAL: (48, "yellow"),
    Kind.ADVERT: (2, "red"),
    Kind.OTHER: (0, "white"),
}
"""Each kind's hue in degrees, and its colour in a terminal."""

TERMINAL_COLOURS: dict[Kind, str] = {Kind.BODY: "", **{kind: colour for kind, (_, colour) in _TINTS.items()}}


def _tint(kind: Kind, hue: int) -> str:
    saturation = "0%" if kind == Kind.OTHER else "var(--s)"
    return f".k-{kind.value}{{--tint:hsl({hue} {saturation} var(--l));--ink:hsl({hue} {saturation} var(--i))}}"


_SHEET = """
:root{--paper:#fdfcfa;--text:#1c1b19;--faint:#6f6a62;--rule:#e3dfd7;--s:62%;--l:94%;--i:33%;color-scheme:light dark}
@media(prefers-color-scheme:dark){:root{--paper:#16171a;--text:#e6e3dd;--faint:#9a958c;--rule:#303136;--s:34%;--l:18%;--i:74%}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--text);font:1.0625rem/1.6 Charter,"Bitstream Charter","Iowan Old Style",Georgia,serif}
.legend{position:sticky;top:0;z-index:1;padding:.7rem 1.5rem .6rem;background:var(--paper);border-bottom:1px solid var(--rule)}
.legend,.about,h2,.p,.nothing{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
.legend>*{max-width:60rem;margin:0 auto;font-size:.8125rem;line-height:1.5}
.legend>div{display:flex;justify-content:space-between;gap:1rem}
.legend p{margin:0}
.legend ul{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;padding:0;margin-top:.25rem;list-style:none;color:var(--faint)}
.legend b{color:var(--text);font-weight:600;font-variant-numeric:tabular-nums}
.swatch{display:inline-block;width:.8em;height:.8em;margin-right:.4em;border-radius:2px;background:var(--tint);vertical-align:-.06em;
border:1px solid var(--ink)}
.k-body{--tint:var(--paper);--ink:var(--faint)}
.switch{color:var(--faint);cursor:pointer;white-space:nowrap}
.switch input{margin:0 .3em 0 0;vertical-align:-.1em;accent-color:var(--faint)}
main{max-width:60rem;margin:0 auto;padding:0 1.5rem 5rem}
article{padding-top:2.75rem}
article+article{margin-top:3rem;border-top:1px solid var(--rule)}
h1{max-width:42rem;margin:0 0 .5rem 10.5rem;font-size:1.8rem;line-height:1.22;font-weight:600;text-wrap:balance;overflow-wrap:anywhere}
.about{margin:0 0 2rem 10.5rem;color:var(--faint);font-size:.8125rem}
.block{margin-left:10.5rem;max-width:42rem}
.block p{margin:0 0 .8em;overflow-wrap:anywhere;unicode-bidi:plaintext}
.removed{position:relative;margin-top:.4rem;margin-bottom:1.1rem;padding:.55rem .9rem;background:var(--tint);border-radius:4px;
border-left:3px solid var(--ink)}
.removed p{margin:0;font-size:.9rem;line-height:1.5;padding:.1rem 0}
.removed h2{position:absolute;left:-10.5rem;top:.7rem;width:9.6rem;margin:0;text-align:right;font-size:.75rem;line-height:1.4;
font-weight:600;color:var(--ink)}
h2 .n{font-weight:400;opacity:.8;font-variant-numeric:tabular-nums}
.block p:hover{background:color-mix(in srgb,var(--ink,var(--faint)) 12%,transparent)}
.p{margin-left:.6em;font-size:.6875rem;color:var(--faint);font-variant-numeric:tabular-nums}
.unsure{text-decoration:underline dotted var(--faint) 1px;text-underline-offset:.25em}
.unsure .p{display:inline-block}
.nothing{margin-left:10.5rem;color:var(--faint)}
body:has(#body-only:checked) .removed{display:none}
@media(max-width:52rem){h1,.about,.block,.nothing{margin-left:0}.removed h2{position:static;width:auto;text-align:left;margin-bottom:.15rem}
.legend{position:static}.legend,main{padding-left:1rem;padding-right:1rem}h1{font-size:1.5rem}}
@media print{.legend{position:static}.switch{display:none}body{font-size:10.5pt}.swatch,.removed{-webkit-print-color-adjust:exact;
print-color-adjust:exact}article+article{break-before:page;border:0}.removed{break-inside:avoid-page}}
"""
STYLE: str = _SHEET + "\n".join(_tint(kind, hue) for kind, (hue, _) in _TINTS.items()) + "\n"
