"""Sphinx's settings for the site; ``python docs/build_site.py`` calls Sphinx with them."""

import sys
from pathlib import Path

from docutils import nodes

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from mmmae_st.version import __version__  # noqa: E402

project = 'mmmae_st'
author = 'mmmae_st contributors'
project_copyright = 'mmmae_st contributors, Apache-2.0'
version = release = __version__

extensions = [
    'myst_nb',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx_copybutton',
    'sphinx_design',
]
include_patterns = [
    *('*.md', 'api/*.md', 'demo/*.ipynb', 'docs/*.md'),
    *('configs/**/*.md', 'projects/*.md', 'projects/**/*.md'),
]
# Pages that are read in the checkout: the site has others in their place.
exclude_patterns = ['README.md']
root_doc = 'index'

myst_enable_extensions = ['colon_fence', 'attrs_block']
myst_heading_anchors = 3
myst_links_external_new_tab = False
nb_execution_mode = 'off'  # the notebook is committed with its pictures; a test runs it
nb_output_stderr = 'remove'

autodoc_member_order = 'bysource'
autodoc_typehints = 'description'
autodoc_typehints_description_target = 'documented'
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
smartquotes = False  # an apostrophe of code stays one, and it takes a third of the build
add_module_names = False
python_use_unqualified_type_names = True

html_theme = 'pydata_sphinx_theme'
html_title = 'mmmae_st'
html_static_path = ['static']
html_css_files = ['site.css']
html_show_sourcelink = False
html_theme_options = {
    'logo': {'text': 'mmmae_st'},
    'header_links_before_dropdown': 6,
    'show_toc_level': 2,
    'navigation_with_keys': False,
    'show_prev_next': False,
    'footer_start': ['copyright'],
    'footer_end': [],
    'secondary_sidebar_items': ['page-toc'],
}
# Pages without others below them have no use for a column of those.
html_sidebars = {name: [] for name in ('index', 'model_zoo', 'gallery', 'demo/tour')}


def skip_member(app, what, name, obj, skip, options):
    """Leave out the fields of named tuples, which say nothing but their number."""
    return True if (getattr(obj, '__doc__', '') or '').startswith('Alias for field') else None


def dashes(app, doctree):
    """Sphinx separates a parameter and its text by two hyphens."""
    for node in doctree.findall(lambda node: isinstance(node, nodes.Text) and node == ' -- '):
        node.parent.replace(node, nodes.Text(' \N{EN DASH} '))


def setup(app):
    """Register the two."""
    app.connect('autodoc-skip-member', skip_member)
    app.connect('doctree-read', dashes)
