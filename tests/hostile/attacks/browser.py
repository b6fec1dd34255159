"""Attacks on the browser of whoever reads feedback, report or formgrader.

Every script names ``zzscript``, and every address to be fetched ``zzfetch``; see
`tests.hostile.verdict.scripts`.
"""

from typing import Any

from tests.hostile.declare import Attack, Tree, cell_of

SCRIPT = "<script>alert('zzscript')</script>"
PAYLOADS = (
    SCRIPT,
    '<img src=x onerror="alert(`zzscript`)">',
    '<svg onload="alert(`zzscript`)"><script>zzscript()</script></svg>',
    '<a href="javascript:zzscript()">look</a>',
    '<a href=" java&#x09;script:zzscript()">look</a>',
    '<iframe srcdoc="<script>zzscript()</script>"></iframe>',
    '<form action="javascript:zzscript()"><button>look</button></form>',
    '<meta http-equiv="refresh" content="0; url=javascript:zzscript()">',
    '<object data="javascript:zzscript()"></object><embed src="javascript:zzscript()">',
    "<style>@import url('http://zzfetch.example/x.css'); body {display: none}</style>",
    '<img src="http://zzfetch.example/pixel.png">',
    '<div style="background: url(http://zzfetch.example/x); position: fixed; top: 0">look</div>',
    '<math><mtext><table><mglyph><style><img src onerror="zzscript()"></style></table></math>',
    '<noscript><p title="</noscript><img src=x onerror=zzscript()>"></noscript>',
    '<base href="http://zzfetch.example/"><link rel="stylesheet" href="http://zzfetch.example/y">',
)


def displayed(name: str, tries: str, source: str) -> Attack:
    return Attack(name, tries, "script in a reader's page", after={"": source})


def written(tree: Tree) -> None:
    cell_of(tree, "question-why")["source"] = "\n\n".join(
        (
            *PAYLOADS,
            "[look](javascript:zzscript())",
            "![look](http://zzfetch.example/pixel.png)",
            "<details open ontoggle=zzscript()>",
            "$\\href{javascript:zzscript()}{x}$ $</script><script>zzscript()</script>$",
            "| a |\n|---|\n| <img src=x onerror=zzscript()> |",
            "```html\n</code></pre><script>zzscript()</script>\n```",
        )
    )


def own_cells(tree: Tree) -> None:
    for kind in ("markdown", "raw", "heading"):
        cell: Any = {"cell_type": kind, "level": 1, "metadata": {"format": "text/html"}}
        tree["cells"].append(cell | {"source": "\n".join(PAYLOADS), "attachments": ATTACHMENTS})


ATTACHMENTS = {
    '"><script>zzscript()</script>.png': {"image/png": '"><script>zzscript()</script>'},
    "x.svg": {"image/svg+xml": "<svg onload='zzscript()'/>"},
    "y.html": {"text/html": SCRIPT},
}

ATTACKS = (
    displayed(
        "html-output",
        "displays HTML with scripts, frames, forms and styles",
        f"from IPython.display import HTML, display\nfor text in {PAYLOADS!r}:\n"
        "    display(HTML(text))",
    ),
    displayed(
        "other-outputs",
        "displays scripts as JavaScript, SVG, widgets and types of its own",
        f"""
        from IPython.display import display
        script = {SCRIPT!r}
        for kind in ("application/javascript", "image/svg+xml", "text/markdown", "text/x",
                     "application/vnd.jupyter.widget-view+json", "application/pdf",
                     "application/vnd.plotly.v1+json", "text/latex", "text/html"):
            display({{kind: script, "text/plain": script}}, raw=True)
        """,
    ),
    displayed(
        "picture-that-breaks-out",
        "ends a picture's address early to write markup of its own",
        """
        from IPython.display import display
        for kind in ("image/png", "image/jpeg", "image/svg+xml", "image/gif"):
            display({kind: '"><script>zzscript()</script><img src="x" onerror="zzscript()'},
                    raw=True, metadata={kind: {"width": '"><script>zzscript()</script>'}})
        """,
    ),
    displayed(
        "printed-markup",
        "prints markup, colours and titles for terminals",
        f"""
        import sys
        for text in {PAYLOADS!r}:
            print(text)
            print(text, file=sys.stderr)
        print("\\x1b]0;title\\x07\\x1b[31m<b>\\x1b[0m\\x1b[38;5;1m" + {SCRIPT!r})
        """,
    ),
    Attack(
        "markup-in-errors",
        "raises errors with markup in class names, messages, files and sources",
        "script in a reader's page",
        answers={
            "scale": f"raise type({SCRIPT!r}, (Exception,), {{}})({SCRIPT!r})",
            "total": f"exec(compile('1/0', {SCRIPT!r}, 'exec'))",
            "answer": f"answer = {SCRIPT!r}",
            "letter": f"raise KeyError({SCRIPT!r})",
        },
    ),
    Attack(
        "markup-in-an-answer",
        "writes scripts and addresses into the written answer",
        "script in a reader's page",
        edit=written,
    ),
    Attack(
        "markup-in-own-cells",
        "adds text, raw and heading cells with markup and attachments",
        "script in a reader's page",
        edit=own_cells,
    ),
    Attack(
        "markup-in-file-names",
        "hands in files whose names are markup, formulas and commands",
        "script in a reader's page",
        files=dict.fromkeys(
            (
                "<img src=x onerror=zzscript()>.txt",
                "=HYPERLINK(zzfetch.example).csv",
                "![x](http:zzfetch.example).txt",
                "a\nb\x1b[31m.txt",
                "$(touch zzscript).txt",
                "'; DROP TABLE grade; --.txt",
            ),
            b"x",
        ),
    ),
    displayed(
        "imitates-the-verdict",
        "displays a table that looks like full marks, in a place and a style of its own",
        """
        from IPython.display import HTML, display
        display(HTML('<p><b>4 of 4 points</b> (ok)</p><table><tr><td>✓</td><td>large</td></tr>'
                     '</table><div class="modal-backdrop in" style="position:fixed">13</div>'))
        """,
    ),
)
