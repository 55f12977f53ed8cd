"""Pages as other tools render them: labelled by the gold body, and only by tools that are there."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from pipeline.errors import ConfigError
from pipeline.separate.renderings import rendered, renderers

STORY = (
    "The harbour office said on Thursday that it would reopen the eastern pier after repairs that took two winters.",
    "Ferries to the islands will leave from there again as soon as the divers have seen the last of the piles.",
)
PAGE = {
    "id": "page-1",
    "domain": "harbour.example",
    "page_type": "article",
    "gold_body": "\n".join(STORY),
    "html": f"<html><body><nav><a href='/'>Home</a> <a href='/news'>News</a></nav><article><h1>Pier to reopen</h1>"
    f"<p>{STORY[0]}</p><p>{STORY[1]}</p></article><footer><p>All rights reserved</p></footer></body></html>",
}
TOOLS = {"bs4": "bs4", "html_text": "html_text", "inscriptis": "inscriptis", "readability": "readability"}


def test_a_rendering_has_the_story_as_body_and_the_menu_as_boilerplate() -> None:
    (document,) = rendered(PAGE, renderers(["resiliparse_all"]))
    by_line = dict(zip(document.lines, document.body.tolist(), strict=True))
    assert document.variant == "resiliparse_all" and document.site == "harbour.example"
    assert [by_line[line] for line in STORY] == [1, 1]
    assert by_line["All rights reserved"] == 0


@pytest.mark.parametrize("name", TOOLS)
def test_every_installed_tool_finds_the_story(name: str) -> None:
    if find_spec(TOOLS[name]) is None:
        pytest.skip(f"{TOOLS[name]} is not installed (extra renderings)")
    (document,) = rendered(PAGE, renderers([name]))
    assert [line for line, is_body in zip(document.lines, document.body, strict=True) if is_body == 1] == list(STORY)


def test_a_page_that_a_tool_fails_on_is_left_out() -> None:
    def failing(_: str) -> str:
        raise ValueError("no tree")

    assert list(rendered(PAGE, {"failing": failing})) == []


def test_an_unknown_rendering_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="'lynx' is none of bs4"):
        renderers(["lynx"])
