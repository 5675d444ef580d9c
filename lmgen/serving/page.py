"""The page to play with a model: one file, which needs nothing but this server."""

import base64
import hashlib
import re
from functools import cache
from importlib import resources

_BLOCK = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


@cache
def page() -> str:
    """The page as HTML."""
    return (resources.files("lmgen.serving") / "page.html").read_text(encoding="utf-8")


def _policy() -> str:
    """What the page may do: run its own script with its own style, and ask the server that it came from."""
    allowed: dict[str, list[str]] = {"script": [], "style": []}
    for kind, content in _BLOCK.findall(page()):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        allowed[kind].append(f"'sha256-{digest}'")
    return (
        f"default-src 'none'; script-src {' '.join(allowed['script'])}; "
        f"style-src {' '.join(allowed['style'])}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


PAGE_HEADERS = {
    "content-security-policy": _policy(),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
"""Headers that keep text on the page from ever being run."""
