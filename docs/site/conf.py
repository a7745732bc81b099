"""Sphinx's settings for the site; ``python docs/build_site.py`` calls Sphinx with them."""

import importlib.util
import sys
from pathlib import Path

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

autodoc_member_order = 'bysource'
autodoc_typehints = 'description'
autodoc_typehints_description_target = 'documented'
autodoc_mock_imports = [
    name for name in ('mmaction', 'mmdet') if importlib.util.find_spec(name) is None
]
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
