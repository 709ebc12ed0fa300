"""SVG pictures made part of an HTML page."""

from __future__ import annotations

import html
import re

from refnet.compiler.palette import INK

_SVG = re.compile(r"<svg [^>]*?viewBox=\"(?P<box>[^\"]*)\"[^>]*>(?P<body>.*)</svg>", re.DOTALL)
_STYLE = re.compile(r"<style\b.*?</style>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_FONT = re.compile(r" ?font-family: [^;\"]*;?")
_ID = re.compile(r"\bid=\"([^\"]+)\"")
_REFERENCE = re.compile(r"(url\(#|href=\"#)([^\")]+)")
_EMPTY_TURN = re.compile(r" transform=\"rotate\(-?0 [^)]*\)\"")


def printable(text: str) -> str:
    """``text`` without control characters, which XML cannot hold and fonts cannot show."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def inline(svg: str, *, key: str, label: str) -> str:
    """The picture as an element of a page.

    ``key`` makes its ids its own, ``label`` is read out in its place. Prologue, styles that would
    reach the page, and fonts are dropped: text takes the font of the page and, where it was drawn
    in ``INK``, the colour of its text. Raises ``ValueError`` where ``svg`` is no SVG document.
    """
    found = _SVG.search(svg)
    if found is None:
        raise ValueError(f"picture {key!r}: {svg[:40]!r}, rule an SVG document with a viewBox")
    # Only tags are touched: a name in a text may hold anything but "<" and ">".
    body = _TAG.sub(lambda tag: _adapted(tag[0], key), _STYLE.sub("", found["body"]))
    name = html.escape(printable(label))
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{found["box"]}" role="img" aria-label="{name}">{body.strip()}</svg>'
    )


def _adapted(tag: str, key: str) -> str:
    tag = _EMPTY_TURN.sub("", _FONT.sub("", tag)).replace(INK, "currentColor")
    return _REFERENCE.sub(rf"\g<1>{key}-\g<2>", _ID.sub(rf'id="{key}-\g<1>"', tag))
