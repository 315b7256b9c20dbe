"""Configuration of the documentation: Sphinx with MyST, in English and, with -D language=zh_CN, in Chinese."""

from __future__ import annotations

from typing import Any

from softreg.version import __version__

project = "softreg"
author = "The softreg developers"
copyright = f"2026, {author}"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_templates", "locale", "notebooks/*.md"]
templates_path = ["_templates"]
nitpicky = False  # names of types in signatures are those of the source

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

language = "en"
locale_dirs = ["locale"]
gettext_compact = False  # a file of messages for each page
gettext_location = False
gettext_uuid = False

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = f"softreg {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "navbar_end": ["languages", "theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_nav_level": 1,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "search_as_you_type": False,
    "header_links_before_dropdown": 7,
}


def _skip(app: Any, what: str, name: str, member: Any, skip: bool, options: Any) -> bool | None:
    """Leave methods of scikit-learn's routing of metadata out of the reference."""
    return True if name.startswith("set_") and name.endswith("_request") or name == "get_metadata_routing" else None


def setup(app: Any) -> None:
    """Connect the handler to Sphinx."""
    app.connect("autodoc-skip-member", _skip)
