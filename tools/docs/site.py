"""What MkDocs does not do by itself when it builds the site (`make docs`); `mkdocs.yml` names this file as a hook.

Pages outside of docs/ (how to contribute, what changed) become pages of the site, and the reference of the command line
is made from the commands. Documents link to files of the repository, as readers of the repository want it; the site
has no such files, so that there the link is the file's path, or leads to `repo_url` where the settings name one. A link
to a file that does not exist ends the build, and so does a page that would load anything from elsewhere.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer.main
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from typer.cli import get_docs_for_click

ROOT = Path(__file__).parents[2]
FROM_TOP = {"contributing.md": "CONTRIBUTING.md", "security.md": "SECURITY.md", "changelog.md": "CHANGELOG.md"}
"""Pages of the site that lie at the top of the repository, where people look for them."""
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s#]+)(#[^)\s]*)?\)")
ELSEWHERE = r"""["'](?:https?:)?//[^"']*["']"""
SCRIPT = r"<(?:script|img|iframe|source|video)\b[^>]*\bsrc="
STYLE = r"""<link\b(?=[^>]*\brel=["'](?:stylesheet|preload|preconnect)["'])[^>]*\bhref="""
LOADED = re.compile(f"(?:{SCRIPT}|{STYLE}){ELSEWHERE}")


def command_line() -> str:
    """The reference of all verbs and options, in Markdown."""
    from tracker.cli.app import app

    command = typer.main.get_command(app)
    context: Any = command.make_context("reacquire", [], resilient_parsing=True)  # of the click inside typer
    text = get_docs_for_click(obj=command, ctx=context, name="reacquire", title="The command line")
    text = re.sub(r"\*\*Commands\*\*:\n\n(\* .*\n)+", "", text)  # cut short; the verbs follow, each with a heading
    text = re.sub(r"\[bold\](.*?)\[/(?:bold)?\]", r"**\1**", re.sub(r"\[dim\](.*?)\[/(?:dim)?\]", r"\1", text))
    text = re.sub(r"(?:^ {2}\S.*\n+)+", _listing, text, flags=re.M)
    return re.sub(r"\n{3,}", "\n\n", text)


def _listing(lines: re.Match[str]) -> str:
    """Indented lines of a help text, as what is typed."""
    return "```console\n" + re.sub(r"\n+", "\n", lines[0]).replace("\n  ", "\n")[2:] + "```\n\n"


def linked(markdown: str, page: str, repository: str | None) -> str:
    """A page's text with its links to files that the site does not have.

    Args:
        markdown: the text.
        page: its path below the top of the repository.
        repository: address of the repository; None where none is known.

    Raises:
        PluginError: a link to a file that does not exist.
    """

    def link(found: re.Match[str]) -> str:
        words, target, anchor = found[1], found[2], found[3] or ""
        if re.match(r"[a-z]+:", target):
            return found[0]
        path = (ROOT / page).parent.joinpath(target).resolve()
        if not path.exists():
            if path.is_relative_to(
                ROOT / "docs"
            ):  # MkDocs knows the pages that are made here, and says what is missing
                return found[0]
            raise PluginError(f"{page} links to {target}, which does not exist")
        if path.is_relative_to(ROOT / "docs") and path.is_file():
            own = path.relative_to(ROOT / "docs").as_posix()
            return f"[{words}]({own}{anchor})" if page in FROM_TOP.values() else found[0]
        inside = path.relative_to(ROOT).as_posix()
        site = {original: name for name, original in FROM_TOP.items()}
        if inside in site:
            return f"[{words}]({'../' * page.count('/', 5)}{site[inside]}{anchor})"
        if repository:
            return f"[{words}]({repository.rstrip('/')}/blob/main/{inside}{anchor})"
        return f"`{inside}`" if inside.endswith(words.strip("`").rstrip("/")) else f"{words} (`{inside}`)"

    return LINK.sub(link, markdown)


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Adds the pages that do not lie in docs/."""
    for name, original in FROM_TOP.items():
        files.append(File.generated(config, name, content=(ROOT / original).read_text(encoding="utf-8")))
    files.append(File.generated(config, "command-line.md", content=command_line()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Links that lead out of the site."""
    name = page.file.src_uri
    return linked(markdown, FROM_TOP.get(name, f"docs/{name}"), config.repo_url)


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Nothing of a page comes from elsewhere.

    Raises:
        PluginError: something would.
    """
    if found := LOADED.search(output):
        raise PluginError(f"{page.file.src_uri} would load from elsewhere: {found[0]}")
    return output
