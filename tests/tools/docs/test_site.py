"""The site's pages link to what it has, and load nothing from elsewhere."""

import re
from types import SimpleNamespace

import pytest

site = pytest.importorskip("tools.docs.site", reason="mkdocs is not installed")


def test_links_that_leave_the_site():
    def linked(text, repository=None, page="docs/models/card.md"):
        return site.linked(text, page, repository)

    assert linked("[engine](../../tracker/compiled.py)") == "engine (`tracker/compiled.py`)"
    assert linked("[tracker/compiled.py](../../tracker/compiled.py)") == "`tracker/compiled.py`"
    there = "[engine](https://example.org/r/blob/main/tracker/compiled.py#x)"
    assert linked("[engine](../../tracker/compiled.py#x)", "https://example.org/r/") == there
    assert linked("[how](../../CONTRIBUTING.md)") == "[how](../contributing.md)"
    assert linked("[t](docs/trackers.md#a)", page="CONTRIBUTING.md") == "[t](trackers.md#a)"
    for same in ("[t](../trackers.md#a)", "[a](https://a.org)", "![p](images/none.png)", "[here](#there)"):
        assert linked(same) == same
    with pytest.raises(site.PluginError, match=r"card\.md links to \.\./\.\./gone\.py"):
        linked("[gone](../../gone.py)")


@pytest.mark.parametrize(
    "loaded",
    [
        '<script src="https://cdn.org/a.js"></script>',
        "<img alt='' src='//cdn.org/a.png'>",
        '<link href="https://fonts.org/a.css" rel="stylesheet">',
        '<link rel="preconnect" href="https://fonts.org">',
    ],
)
def test_a_page_that_loads_from_elsewhere_ends_the_build(loaded):
    page = SimpleNamespace(file=SimpleNamespace(src_uri="a.md"))
    own = '<a href="https://a.org">a</a><img src="a.png"><link rel="canonical" href="https://a.org">'
    assert site.on_post_page(own, page) == own
    with pytest.raises(site.PluginError, match=r"a\.md would load from elsewhere"):
        site.on_post_page(own + loaded, page)


def test_the_reference_of_the_command_line_has_every_verb():
    page = site.command_line()
    for verb in ("track", "live", "eval", "mot tune", "reid train", "doctor"):
        assert f"# `reacquire {verb}`\n" in page
    assert not re.search(r"\[/|\[bold|\[dim", page)  # words of the terminal
    assert "…\n" not in page.split("## `reacquire track`")[0]
    assert "`-t, --tracker NAME|FILE`: Recipe" in page
