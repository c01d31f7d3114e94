"""Configuration of Sphinx for `make docs`: the README, pages, notebook and docstrings."""

from importlib.metadata import version as version_of

from sphinx.application import Sphinx

project = "object-relation-network"
author = project_copyright = "The developers of object-relation-network"
version = release = version_of(project)

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "README"
include_patterns = [
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "data_manifests/README.md"),
    *("docs/*.md", "examples/tour.ipynb"),
]
html_theme = "furo"
html_title = "Object-level visual reasoning in videos"
html_copy_source = False
html_static_path = ["site.css"]
html_css_files = ["site.css"]
highlight_language = "none"  # for commands and their output

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # tests execute the notebook on the output of the demo
autodoc_typehints = "description"
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
napoleon_google_docstring = True

_SECTIONS = {
    "Use it": (
        *(
            "docs/own_videos",
            "data_manifests/README",
            "docs/detect",
            "docs/own_detector",
            "docs/look",
        ),
        *(
            "docs/train",
            "docs/when",
            "docs/predict",
            "docs/runs",
            "docs/troubleshooting",
        ),
    ),
    "Python": ("docs/python", "examples/tour"),
    "What was measured": ("docs/results", "docs/speed"),
    "Reference": ("docs/numerics",),
    "Project": ("CONTRIBUTING", "CHANGELOG"),
}


def add_contents(_: Sphinx, page: str, source: list[str]) -> None:
    """Append the table of contents to the site's README."""
    if page == root_doc:
        for caption, pages in _SECTIONS.items():
            listed = "\n".join(pages)
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n{listed}\n```\n"


def setup(app: Sphinx) -> None:
    """Register the extension with Sphinx."""
    app.connect("source-read", add_contents)
