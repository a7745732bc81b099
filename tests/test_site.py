"""The site is built without network and without a warning; what is in it leads somewhere."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from support import runs

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


class Page(HTMLParser):
    """Links, pictures and other files that a page asks for, and its anchors."""

    def __init__(self, path):
        super().__init__()
        self.targets, self.fetched, self.ids = [], [], set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids |= {attrs[key] for key in ('id', 'name') if attrs.get(key)}
        if tag == 'a' and attrs.get('href'):
            self.targets.append(attrs['href'])
        elif tag == 'link' and attrs.get('rel') in ('stylesheet', 'preload', 'icon', 'preconnect'):
            self.fetched.append(attrs['href'])
        elif attrs.get('src'):
            self.fetched.append(attrs['src'])


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    """The folder of the site, built as people build it."""
    out = tmp_path_factory.mktemp('site')
    run = runs.fork('docs/build_site.py', ['--out', out], tmp_path_factory.mktemp('said'))
    assert run.wait(250) == [0], run.output()
    assert run.output() == f'{out}/index.html\n'
    return out


@pytest.fixture(scope='module')
def pages(site):
    """Path of each page, relative to the site, to what it holds."""
    paths = [path.relative_to(site) for path in site.rglob('*.html')]
    return {path: Page(site / path) for path in paths if path.parts[0] != '_static'}


def test_every_page_of_the_docs_is_there(pages):
    docs = {Path('docs', f'{path.stem}.html') for path in (ROOT / 'docs').glob('*.md')}
    assert docs <= set(pages)
    assert {Path(f'{name}.html') for name in ('index', 'model_zoo', 'gallery')} <= set(pages)


def test_links_and_anchors_lead_somewhere(site, pages):
    for page, found in pages.items():
        for target in found.targets:
            if re.match(r'[a-z]+:', target):
                continue
            path, _, anchor = unquote(target).partition('#')
            linked = (site / page.parent / path).resolve() if path else site / page
            assert linked.exists(), f'{page} links to {target}'
            if anchor and linked.suffix == '.html':
                ids = pages[linked.relative_to(site.resolve())].ids if path else found.ids
                assert anchor in ids, f'{page} links to {target}'


def test_nothing_is_fetched_from_elsewhere(site, pages):
    for page, found in pages.items():
        for file in found.fetched:
            assert not re.match(r'(https?:)?//', file), f'{page} fetches {file}'
            assert (site / page.parent / file.split('?')[0]).exists(), f'{page} lacks {file}'
    for style in site.rglob('*.css'):
        assert not re.search(r'(url\(|@import)\s*["\']?(https?:)?//', style.read_text()), style


def test_public_classes_and_functions_are_in_the_reference(pages):
    ids = set().union(*(page.ids for page in pages.values()))
    assert 'mmmae_st.models.spacetime_vit.SpacetimeViT' in ids
    assert 'mmmae_st.datasets.transforms.loading.LoadClips' in ids
    assert 'mmmae_st.apis.reconstruct.restore' in ids


def test_the_model_zoo_is_that_of_the_metafiles(site):
    text = (site / 'model_zoo.html').read_text()
    for file in yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']:
        for model in yaml.safe_load((ROOT / file).read_text())['Models']:
            assert model['Name'] in text
            assert model.get('Weights', '') in text


def test_pictures_of_the_repository_are_in_the_gallery(site):
    text = (site / 'gallery.html').read_text()
    for folder in ('docs/images', 'projects'):
        for picture in (ROOT / folder).rglob('*.png'):
            assert picture.name in text, f'{picture} is not in the gallery'
