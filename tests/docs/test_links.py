"""Links of README, CHANGELOG, SECURITY and docs/ lead to files and headings, and every page is listed."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, name_of, prose

LINK = re.compile(r"\]\(([^)\s]+)\)")

TREE = re.compile(r"^```{toctree}\n((?::[^\n]*\n)*)(.*?)^```$", re.MULTILINE | re.DOTALL)
"""A list of pages in the order of the site: its options, and a page a line."""


def anchors(page: Path) -> set[str]:
    """The anchors of a page as GitHub makes them, and on the site as MyST does."""
    from docs.conf import anchor, benchmarks

    markdown = page.read_text(encoding="utf-8")
    if page == ROOT / "docs" / "benchmarks.md":
        markdown += benchmarks()
    if page == ROOT / "docs" / "reference" / "commands.md":
        from docs.commands import reference

        markdown += reference()
    without_code = re.sub(r"^```.*?^```$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return {anchor(heading) for heading in re.findall(r"^#+ .*$", without_code, re.MULTILINE)}


def dead_links(page: Path) -> list[str]:
    """The links of a page that lead nowhere; addresses of the web are not asked for."""
    dead = []
    for link in LINK.findall(prose(page)):
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if re.match(r"\w+://", link):
            continue
        if not target.exists() or (heading and heading not in anchors(target)):
            dead.append(link)
    return dead


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md", ROOT / "SECURITY.md"], ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert dead_links(page) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_has_a_section_or_paragraph_twice(page: Path) -> None:
    """Merging two branches can leave both of their copies."""
    parts = [part.strip() for part in prose(page).split("\n\n")]

    assert sorted({part for part in parts if parts.count(part) > 1 and len(part) > 100}) == []
    headings = [part for part in parts if re.match(r"#{1,2} ", part)]
    assert len(headings) == len(set(headings))


def test_dead_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A heading, here\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Top\n[a](other.md) [b](other.md#a-heading-here) [c](#top) [d](https://example.org/x.md)\n"
        "[e](missing.md) [f](other.md#nothing) [g](#nowhere) `[h](code.md)`\n"
    )

    assert dead_links(page) == ["missing.md", "other.md#nothing", "#nowhere"]


def listed(page: Path) -> list[str]:
    """The pages that a page lists, by name: those of a pattern would come in the order of the alphabet."""
    trees = TREE.findall(page.read_text(encoding="utf-8"))
    assert not [options for options, _ in trees if ":glob:" in options]
    return [name_of(page.parent / f"{name}.md") for _, names in trees for name in names.split()]


def test_every_page_of_the_site_is_listed_once() -> None:
    site = [page for page in PAGES if page.is_relative_to(ROOT / "docs")]
    names = [name for page in site for name in listed(page)]

    assert sorted(["docs/index.md", *names]) == sorted(map(name_of, site))
