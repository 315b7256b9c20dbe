"""Configuration of the documentation: Sphinx with MyST, in English and, with -D language=zh_CN, in Chinese."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import latex2mathml.converter
from docutils import nodes
from sphinx import addnodes
from sphinx.search.en import SearchEnglish
from sphinx.util.docutils import SphinxDirective

from softreg.version import __version__

project = "softreg"
author = "The softreg developers"
copyright = f"2026, {author}"
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_templates", "locale", "notebooks/*.md"]
templates_path = ["_templates"]
default_role = "code"

nb_execution_mode = "off"  # tests/test_notebooks.py executes the notebooks
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "dollarmath"]
suppress_warnings = ["myst.header", "ref.python"]  # types in docstrings are prose, not references

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the sections Parameters and Returns have the types
autosummary_generate = False
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
add_module_names = False

ROOT_PAGES = {"changelog": "CHANGELOG.md", "contributing": "CONTRIBUTING.md"}

language = "en"
locale_dirs = ["locale"]
gettext_compact = False  # a file of messages for each page
gettext_location = False
gettext_uuid = False

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = f"softreg {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_sidebars = {page: [] for page in ("index", "start", "recipes", "search")}  # pages without pages below them
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "navbar_persistent": [],
    "navbar_end": ["search-button", "languages", "theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_nav_level": 1,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "search_as_you_type": False,
    "header_links_before_dropdown": 9,
}


def _skip(app: Any, what: str, name: str, member: Any, skip: bool, options: Any) -> bool | None:
    """Leave methods of scikit-learn's routing of metadata out of the reference."""
    return True if (name.startswith("set_") and name.endswith("_request")) or name == "get_metadata_routing" else None


def _keep_colon(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Write a dash for the colon in the first line of an attribute; napoleon takes the words before it for a type."""
    if what in ("property", "attribute") and lines:
        lines[0] = re.sub(r"^((?:[^`:]|`[^`]*`)*): ", r"\1 – ", lines[0], count=1)


def _read_root_page(app: Any, page: str, source: list[str]) -> None:
    """Take the text of a page from a file of the project's folder, whose links to docs/ are those of this folder."""
    if page in ROOT_PAGES:
        text = (Path(app.srcdir).parent / ROOT_PAGES[page]).read_text(encoding="utf-8")
        source[0] = text.replace("](docs/", "](")


def _plain_types(app: Any, doctree: nodes.document) -> None:
    """Keep links to classes alone among the words of types: "array of shape (n, d)" has no attribute n."""
    for reference in list(doctree.findall(addnodes.pending_xref)):
        if (
            reference.get("refdomain") == "py"
            and reference["reftarget"].islower()
            and "." not in reference["reftarget"]
        ):
            reference.replace_self(reference.children)


def _visit_math(translator: Any, node: nodes.math | nodes.math_block) -> None:
    """Write a formula as MathML, which browsers show without a script."""
    display = "block" if isinstance(node, nodes.math_block) else "inline"
    translator.body.append(latex2mathml.converter.convert(node.astext(), display=display))
    raise nodes.SkipNode


class ChineseSearch(SearchEnglish):
    """The search index of Chinese pages: words, and for Chinese text characters and pairs of neighbours."""

    lang = "zh"
    js_splitter_code = """
function splitQuery(query) {
  const runs = query.match(/[\\u3400-\\u9fff]+|(?:(?![\\u3400-\\u9fff])[\\p{L}\\p{N}_])+/gu) ?? [];
  return runs.flatMap((run) => {
    const pairs = /[\\u3400-\\u9fff]/.test(run) ? [...run].slice(1).map((sign, i) => run[i] + sign) : [];
    return pairs.length ? pairs : [run];
  });
}
"""

    def split(self, text: str) -> list[str]:
        """Return the terms of a text: words, and the characters of a Chinese run with their pairs."""
        terms = []
        for run in re.findall(r"[\u3400-\u9fff]+|[^\W\u3400-\u9fff]+", text):
            chinese = "\u3400" <= run[0] <= "\u9fff"
            terms += [*run, *map("".join, pairwise(run))] if chinese else [run]
        return terms


FOLLOW_THEME = """<script>
{
  const frame = document.querySelector(".learn-page");
  const follow = () => {
    try {
      frame.contentDocument.documentElement.dataset.theme = document.documentElement.dataset.theme;
    } catch { /* pages of files may not touch each other; the page then follows the setting of the system */ }
  };
  frame.addEventListener("load", follow);
  new MutationObserver(follow).observe(document.documentElement, { attributeFilter: ["data-theme"] });
}
</script>"""


class InteractivePage(SphinxDirective):
    """The page that `softreg learn` writes, in the language of the site; build_site.py puts it beside the pages."""

    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """Return the frame with the page."""
        chinese = self.config.language.startswith("zh")
        address = "softreg-learn.html#lang=" + ("zh" if chinese else "en")
        title = "从四个像素到校准" if chinese else "From four pixels to calibration"
        alone = "在整个窗口中打开" if chinese else "Open the page in the whole window"
        frame = f'<iframe class="learn-page" src="{address}" title="{title}"></iframe>'
        return [nodes.raw("", f'<p><a href="{address}">{alone}</a></p>{frame}{FOLLOW_THEME}', format="html")]


def setup(app: Any) -> None:
    """Connect the handler to Sphinx."""
    app.add_html_math_renderer("mathml", (_visit_math, None), (_visit_math, None))
    app.add_search_language(ChineseSearch)
    app.add_directive("interactive-page", InteractivePage)
    app.connect("autodoc-process-docstring", _keep_colon, priority=400)  # before napoleon
    app.connect("source-read", _read_root_page)
    app.connect("doctree-read", _plain_types)
    app.connect("autodoc-skip-member", _skip)
