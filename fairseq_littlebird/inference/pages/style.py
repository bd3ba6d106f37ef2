"""What all pages share: the frame, the style, and text as HTML."""

from __future__ import annotations

import html
from string import Template

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 62rem; margin: 1.5rem auto;
  padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; margin: .5rem 0; } h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
a { color: #1d58a8; } p { margin: .3rem 0; } .quiet { color: #666; font-size: .85rem; }
.answer { font-size: 1.2rem; white-space: pre-wrap; } .answer b, mark { background: #ffe08a; padding: 0 .15em; }
mark#candidate { background: none; border: 1px dashed #e0a100; border-width: 1px 0; }
nav { position: sticky; top: 0; background: #fff; padding: .5rem 0; border-bottom: 1px solid #e4e4e4; }
nav a { margin-inline-end: 1.2rem; white-space: nowrap; } [id] { scroll-margin-top: 4rem; }
mark[id], .document span[id] { scroll-margin-top: 40vh; } :target:not(div, h2) { outline: 3px solid #e08a00; }
.edge { border-inline-start: .3rem solid #c2410c; padding-inline-start: .5rem;
  font-size: .9rem; unicode-bidi: isolate; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
td, th { text-align: start; vertical-align: top; padding: .2rem .8rem .2rem 0; border-top: 1px solid #e4e4e4; }
th { font-weight: 600; border: 0; } .n { white-space: nowrap; font-variant-numeric: tabular-nums; }
th { overflow-wrap: normal; } .w { white-space: nowrap; }
.strip { display: block; width: 100%; height: 6rem; background: #f6f6f6; } .bars { height: 1rem; width: 16rem; }
.key { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 .8em; }
.document { white-space: pre-wrap; unicode-bidi: plaintext; border: 1px solid #e4e4e4; padding: 1rem; }
.document span { background: rgb(59 116 196 / calc(.1 + .4 * var(--w))); } .gap { color: #888; text-align: center; }
td, h1, .answer { unicode-bidi: plaintext; } td { white-space: pre-line; }
.wide { overflow-x: auto; }
"""

PAGE = Template("""<!doctype html>
<html>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$style</style>
</head>
<body>
$body
</body>
</html>
""")
CONTROLS = {n: "\N{REPLACEMENT CHARACTER}" for n in (*range(32), *range(127, 160)) if chr(n) not in "\t\n\r\x85"}


def escape(text: str) -> str:
    """For text and attributes; characters that no page may have are the replacement character."""
    return html.escape(text.translate(CONTROLS))


def short(text: str, most: int = 200) -> str:
    """Escaped, and cut where it is long."""
    return escape(text if len(text) <= most else f"{text[:most]}…")


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"
