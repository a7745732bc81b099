"""Build the documentation as a site, without network: warnings and dead links are errors.

Needs the extra ``docs``. The pages are those of the checkout; the reference, the model zoo and the
lists of pages are made from the package, the metafiles and the folders.

examples:
  build_site.py
  build_site.py --out /tmp/site
"""

import argparse
import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / 'docs' / 'site'
# What pages may link to; tests and what tools write are not among it.
LINKED = ('configs', 'demo', 'docker', 'docs', 'projects', 'tools', 'requirements')


def stage(folder: Path) -> None:
    """Lay the sources of the site into a folder, each page where the checkout has it."""
    ignore = shutil.ignore_patterns('__pycache__', 'work_dirs', 'site')
    for name in LINKED:
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for path in (*ROOT.glob('*.md'), ROOT / 'LICENSE', *SITE.glob('*.md')):
        shutil.copy(path, folder)
    for page in folder.glob('docs/*.md'):  # the first page of the site holds what README says
        page.write_text(page.read_text().replace('](../README.md', '](../index.md'))


def main(argv: list[str] | None = None) -> int:
    """Stage, generate, build; returns the exit code of Sphinx."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', default='site', help='folder of the site (site)')
    args = parser.parse_args(argv)
    if importlib.util.find_spec('sphinx') is None:
        raise SystemExit('the site needs Sphinx: pip install ".[lite,docs]"')
    from sphinx.cmd.build import main as sphinx

    sys.path[:0] = [str(SITE), str(ROOT)]
    from pages import write_pages

    with tempfile.TemporaryDirectory() as folder:
        stage(Path(folder))
        write_pages(Path(folder))
        options = [
            '--quiet',
            '--fail-on-warning',
            '--keep-going',
        ]
        code = sphinx([*options, '--conf-dir', str(SITE), folder, args.out])
    if code == 0:
        print(f'{args.out}/index.html')
    return code


if __name__ == '__main__':
    sys.exit(main())
