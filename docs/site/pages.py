"""The pages that are made: lists of others, the reference, the model zoo, pictures of the tour."""

import base64
import json
import pkgutil
from pathlib import Path

import yaml

import mmmae_st

# Captions of the guide and the pages below each, in order; pages of docs/ that are in none are put
# under 'More', and names without a page are passed over.
GUIDE = {
    'Start': ('get_started', 'your_videos', 'own_config', 'python', 'command_line'),
    'Train': ('recipes', 'datasets', 'large_data', 'monitor', 'configs/ablation/README'),
    'Evaluate': (
        *('finetune', 'own_boxes', 'configs/finetune/README', 'configs/frozen/README'),
        *('weights', 'inspect'),
    ),
    'Rely on it': ('performance', 'reliability', 'troubleshooting', 'comparison'),
}
DEVELOP = ('architecture', 'extend', 'CONTRIBUTING', 'CHANGELOG', 'CODE_OF_CONDUCT')
PROJECTS = ('projects/example_project/README', 'projects/motion_benchmark/README')


# What a module defines, not what a package takes from its modules.
OWN = ('   :members:', '   :ignore-module-all:')


def toctree(pages: list[str], caption: str = '', hidden: bool = False) -> str:
    """A list of pages in MyST's words."""
    options = [f':caption: {caption}'] * bool(caption) + [':hidden:'] * hidden
    lines = [':maxdepth: 1', *options, '', *(f'/{page}' for page in pages)]
    return '\n'.join(['```{toctree}', *lines, '```', ''])


def found(folder: Path, names: tuple[str, ...]) -> list[str]:
    """Those of the names that are pages, of ``docs/`` or by their path; without the suffix."""
    paths = [f'docs/{name}' if (folder / f'docs/{name}.md').exists() else name for name in names]
    return [path for path in paths if (folder / f'{path}.md').exists()]


def guide(folder: Path) -> str:
    """The page that lists the pages of docs/."""
    listed = {name for names in (*GUIDE.values(), DEVELOP) for name in names}
    others = sorted(p.stem for p in (folder / 'docs').glob('*.md') if p.stem not in listed)
    parts = [
        toctree(pages, caption)
        for caption, names in {**GUIDE, 'More': tuple(others)}.items()
        if (pages := found(folder, names))
    ]
    return '\n'.join(['# Guide', '', *parts])


def modules(package: str) -> list[str]:
    """Names of the modules of a package, itself first; nothing is imported but packages."""
    path = [str(Path(mmmae_st.__file__).parent.joinpath(*package.split('.')[1:]))]
    names = [package]
    for module in pkgutil.iter_modules(path, f'{package}.'):
        names += modules(module.name) if module.ispkg else [module.name]
    return names


def reference(folder: Path) -> None:
    """A page of the reference for each package and each module of the first level.

    But for ``compat``: what it is to mmaction2 and mmdet nobody calls, and they load for seconds.
    """
    top = sorted(pkgutil.iter_modules(mmmae_st.__path__), key=lambda module: not module.ispkg)
    names = [m.name for m in top if not m.name.startswith('_') and 'compat' not in m.name]
    for name in names:
        text = [f'# mmmae_st.{name}', '']
        for module in modules(f'mmmae_st.{name}'):
            if module != f'mmmae_st.{name}':
                text += [f'## {module.removeprefix(f"mmmae_st.{name}.")}', '']
            text += ['```{eval-rst}', f'.. automodule:: {module}', *OWN, '```', '']
        (folder / 'api' / f'{name}.md').write_text('\n'.join(text))
    (folder / 'api' / 'index.md').write_text(
        '# Reference\n\nMade from the docstrings. A layer imports only what is below it: '
        '[architecture](../docs/architecture.md).\n\n'
        + exported()
        + '\n'
        + toctree([f'api/{name}' for name in names])
    )


def exported() -> str:
    """A list of what ``import mmmae_st`` gives, each with a link to where it is defined."""
    homes = {name: getattr(getattr(mmmae_st, name), '__module__', '') for name in mmmae_st.__all__}
    lines = [f'- {{py:obj}}`~{home}.{name}`' for name, home in homes.items() if home]
    return '\n'.join(['`import mmmae_st` gives:', '', *lines, '']) if lines else ''


def model_zoo(folder: Path) -> str:
    """The models of ``model-index.yml``, a table for each collection."""
    root = Path(mmmae_st.__file__).parents[1]
    index = yaml.safe_load((root / 'model-index.yml').read_text())
    files = [yaml.safe_load((root / file).read_text()) for file in index['Import']]
    lines = (folder / 'model_zoo.md').read_text().splitlines()
    for collection in (c for file in files for c in file.get('Collections', [])):
        paper = collection['Paper']
        lines += ['', f'## {collection["Name"]}', '', f'[{paper["Title"]}]({paper["URL"]})', '']
        lines += ['| model | config | trained on | epochs | parameters | MD5 | file |']
        lines += ['|---|---|---|---|---|---|---|']
        for model in (m for file in files for m in file['Models']):
            if model['In Collection'] == collection['Name']:
                lines.append(zoo_row(model))
    return '\n'.join(lines) + '\n'


def zoo_row(model: dict) -> str:
    """The row of a model; what its metadata lack is a dash."""
    data = model['Metadata']
    count = data.get('Parameters')
    cells = [
        f'`{model["Name"]}`',
        f'[{Path(model["Config"]).stem}]({model["Config"]})',
        data.get('Training Data', '-'),
        data.get('Effective Epochs', '-'),
        f'{count / 1e6:.1f} M' if count else '-',
        f'`{data["Weights MD5"]}`' if 'Weights MD5' in data else '-',
        f'[{Path(model["Weights"]).suffix[1:]}]({model["Weights"]})' if 'Weights' in model else '-',
    ]
    return '| ' + ' | '.join(map(str, cells)) + ' |'


def tour_pictures(folder: Path) -> None:
    """Write the pictures of the notebook as ``tour/1.jpg`` and so on, for the gallery."""
    notebook = json.loads((folder / 'demo' / 'tour.ipynb').read_text())
    outputs = [out for cell in notebook['cells'] for out in cell.get('outputs', ())]
    pictures = [out['data']['image/jpeg'] for out in outputs if 'image/jpeg' in out.get('data', {})]
    (folder / 'tour').mkdir()
    for number, picture in enumerate(pictures, 1):
        (folder / 'tour' / f'{number}.jpg').write_bytes(base64.b64decode(picture))


def more_pictures(folder: Path) -> str:
    """The end of the gallery: pictures of docs/ and of the projects that are not in it yet."""
    text = (folder / 'gallery.md').read_text()
    paths = sorted((*folder.glob('docs/images/*.png'), *folder.glob('projects/**/*.png')))
    left = [path.relative_to(folder) for path in paths if path.name not in text]
    lines = [f'![{path.stem.replace("_", " ")}]({path})\n\n`{path}`\n' for path in left]
    return '\n'.join(['\n## More', '', *lines]) if left else ''


def write_pages(folder: Path) -> None:
    """Write all of them into the staged sources."""
    (folder / 'api').mkdir()
    reference(folder)
    tour_pictures(folder)
    with (folder / 'gallery.md').open('a') as gallery:
        gallery.write(more_pictures(folder))
    (folder / 'guide.md').write_text(guide(folder))
    (folder / 'develop.md').write_text('# Develop\n\n' + toctree(found(folder, DEVELOP)))
    (folder / 'model_zoo.md').write_text(model_zoo(folder))
    projects = folder / 'projects' / 'README.md'
    projects.write_text(projects.read_text() + '\n' + toctree(found(folder, PROJECTS), hidden=True))
    for results in folder.glob(
        'projects/*/results/**/results.md'
    ):  # linked from the project's page
        results.write_text('---\norphan: true\n---\n\n# Results\n\n' + results.read_text())
    main = ['guide', 'demo/tour', 'api/index', 'model_zoo', 'gallery', 'projects/README', 'develop']
    index = folder / 'index.md'
    index.write_text(index.read_text() + '\n' + toctree(main, hidden=True))
