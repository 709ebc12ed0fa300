"""Pieces of HTML: everything that comes from outside is escaped here."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from refnet.compiler.svg import printable

CSS = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1c2126; --soft: #5a636e;
  --line: #d5dae0; --band: #f4f6f8; --good: #00694d; --bad: #b23b00; --link: #005a8f; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181c; --ink: #e4e8ec; --soft: #a2abb6;
  --line: #363e47; --band: #1d2329; --good: #3fc79a; --bad: #ff8f4d; --link: #6cbcf0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem clamp(0.8rem, 3vw, 2.5rem) 3rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.55rem; line-height: 1.25; margin: 0.6rem 0; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 0.6rem; padding-top: 0.5rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.4rem 0 0.4rem; }
h1, h2, h3, p, li, dd { overflow-wrap: anywhere; }
a { color: var(--link); }
.lead { font-size: 1.12rem; }
.note, figcaption { color: var(--soft); font-size: 0.88rem; max-width: 48rem; }
.good { color: var(--good); } .bad { color: var(--bad); font-weight: 600; }
.scroll { overflow-x: auto; margin: 0.6rem 0; }
table { border-collapse: collapse; font-size: 0.84rem; line-height: 1.35;
  font-variant-numeric: tabular-nums; }
th, td { padding: 0.28rem 0.55rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; white-space: nowrap; }
thead th { white-space: normal; border-bottom: 2px solid var(--soft); vertical-align: bottom; }
tbody th { font-weight: 500; } tbody tr:nth-child(even) { background: var(--band); }
td.number, th.number { text-align: right; } td.wide { white-space: normal; min-width: 9rem; }
tbody th.wide { white-space: normal; min-width: 9rem; }
.panels { margin-bottom: 1.2rem; display: grid; gap: 1rem 2rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 19.5rem), 1fr)); }
.panel { break-inside: avoid; } .panel h4 { font-size: 0.88rem; margin: 0 0 0.2rem; }
.panel h4 { overflow-wrap: anywhere; }
.panel svg { display: block; width: 100%; max-width: 26rem; height: auto; }
.panel svg * { stroke-linejoin: round; stroke-linecap: butt; }
figure { margin: 0.8rem 0 1.6rem; } figcaption { margin-bottom: 0.7rem; }
code, pre { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 0.88rem; }
td code, th code { display: inline-block; max-width: 16rem; white-space: normal;
  overflow-wrap: anywhere; }
pre { background: var(--band); border: 1px solid var(--line); padding: 0.7rem;
  overflow-x: auto; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.2rem 1rem; }
dt { color: var(--soft); } dd { margin: 0; }
@media print { body { max-width: none; padding: 0; font-size: 9.5pt; }
  .scroll { overflow: visible; } h2, h3 { break-after: avoid; } tr { break-inside: avoid; } }
"""


def text(value: object) -> str:
    """``value`` as text of a page or of an attribute.

    >>> text('<a href="x">')
    '&lt;a href=&quot;x&quot;&gt;'
    """
    return html.escape(printable(str(value)))


def code(value: object) -> str:
    """A name or file as typed."""
    return f"<code>{text(value)}</code>"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already; the first column names the row.

    A column is of numbers where its heading ends in ``#``, of running text where it ends in ``~``.
    """
    kinds = [{"#": "number", "~": "wide"}.get(name[-1:], "") for name in columns]
    names = [name.rstrip("#~") for name in columns]
    head = "".join(
        _cell("th", text(name), "number" if kind == "number" else "", 'scope="col"')
        for name, kind in zip(names, kinds, strict=True)
    )
    lines = [f"<tr>{_line(row, kinds)}</tr>" for row in rows]
    return (
        f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{chr(10).join(lines)}\n</tbody></table></div>"
    )


def _line(row: Sequence[str], kinds: Sequence[str]) -> str:
    cells = list(zip(row, kinds, strict=True))
    first = _cell("th", cells[0][0], cells[0][1], 'scope="row"')
    return first + "".join(_cell("td", cell, kind) for cell, kind in cells[1:])


def _cell(tag: str, content: str, kind: str, attribute: str = "") -> str:
    attributes = [a for a in (attribute, f'class="{kind}"' if kind else "") if a]
    return f"<{' '.join([tag, *attributes])}>{content}</{tag}>"


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """A list of terms and what they are; the terms are text, the rest is HTML already."""
    items = "\n".join(f"<dt>{text(term)}</dt><dd>{held}</dd>" for term, held in pairs)
    return f"<dl>\n{items}\n</dl>"


def section(title: str, *pieces: str) -> str:
    """A part of the page; empty pieces are left out."""
    return "\n".join([f"<section>\n<h2>{text(title)}</h2>", *filter(None, pieces), "</section>"])


def note(content: str) -> str:
    """A remark in small print; ``content`` is HTML already."""
    return f'<p class="note">{content}</p>'
