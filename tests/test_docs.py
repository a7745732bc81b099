"""What holds on every page of the documentation: links, files and commands that it names."""

import argparse
import ast
import re
import runpy
import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from support.docs import FENCE, commands

from mmmae_st.__main__ import PROGRAMS, take_gpus
from mmmae_st.config.packaged import config_names, find_config

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for pattern in ('*.md', 'docs/*.md', 'configs/**/*.md', 'projects/**/*.md')
    for path in ROOT.glob(pattern)
)


def name(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize('page', PAGES, ids=name)
def test_links_inside_the_repository_lead_somewhere(page):
    text = FENCE.sub('', page.read_text())
    for found in re.findall(r'\]\(([^)\s]+)\)|src="([^"]+)"', text):
        target, _, heading = (found[0] or found[1]).partition('#')
        if '://' in target or target.startswith('mailto:'):
            continue
        linked = page.parent / target if target else page
        assert linked.exists(), f'{page.name} links to {target}'
        if heading:
            headings = re.findall(r'^#+ (.*)$', linked.read_text(), re.MULTILINE)
            anchors = {re.sub(r'[^\w -]', '', h).lower().replace(' ', '-') for h in headings}
            assert heading in anchors, f'{page.name} links to {target}#{heading}'


def expand(file):
    """``a{b,c}`` as ab and ac."""
    match = re.search(r'\{([^}]*)\}', file)
    if match is None:
        return [file]
    ends = (match.start(), match.end())
    return [
        x for part in match[1].split(',') for x in expand(file[: ends[0]] + part + file[ends[1] :])
    ]


@pytest.mark.parametrize('page', PAGES, ids=name)
def test_files_named_in_the_text_exist(page):
    text = re.sub(r'https?://\S+|\S*\$\S*', '', page.read_text())  # variables of the shell
    for named in re.findall(
        r'\b(?:configs|tools|mmmae_st|demo|projects|docs)/[\w./{},-]*[\w}]', text
    ):
        for file in expand(named):
            if not file.startswith('projects/my_'):
                found = (ROOT / file).exists() or (page.parent / file).exists()
                assert found, f'{page.name} names {file}'


class Parsed(Exception):
    """Carries what a script has read from its command line."""


def parse(script, args, monkeypatch):
    """The namespace that a script reads from its arguments; it goes no further."""
    original = argparse.ArgumentParser.parse_args

    def stop(self, *given, **keywords):
        raise Parsed(original(self, *given, **keywords))

    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', stop)
    monkeypatch.setattr(sys, 'argv', [script, *args])
    monkeypatch.syspath_prepend(str((ROOT / script).parent))
    with pytest.raises(Parsed) as parsed:
        runpy.run_path(str(ROOT / script), run_name='__main__')
    return parsed.value.args[0]


def as_python(words):
    """Script and arguments that a command comes to; None for those that are no Python script."""
    program, *args = words
    if program == 'mmmae_st':
        return f'tools/{PROGRAMS[args[0]]}', take_gpus(args[1:])[1]
    if program == 'python' and args[0] != '-m':
        return args[0], args[1:]
    if program.endswith('tools/dist_train.sh'):
        return 'tools/train.py', [args[0], *args[2:]]
    if program.endswith('tools/dist_test.sh'):
        return 'tools/test.py', [*args[:2], *args[3:]]
    return None


ALL_COMMANDS = [(page, words) for page in PAGES for words in commands(page)]


@pytest.mark.parametrize(
    ('page', 'words'), ALL_COMMANDS, ids=lambda x: name(x) if isinstance(x, Path) else ' '.join(x)
)
def test_commands_of_the_docs_are_understood(page, words, monkeypatch):
    monkeypatch.chdir(ROOT)
    if words[:2] == ['pip', 'install']:
        extras = {x for found in re.findall(r'\.\[(.*)\]', words[2]) for x in found.split(',')}
        assert all((ROOT / 'requirements' / f'{extra}.in').exists() for extra in extras)
        return
    if as_python(words) is None:
        assert (ROOT / words[0]).exists()
        return
    args = parse(*as_python(words), monkeypatch)
    given = [arg for arg in words if arg.startswith(('configs/', 'projects/'))]
    given += [find_config(arg) for arg in words if arg in config_names() and words[0] == 'mmmae_st']
    for config in given:
        cfg = Config.fromfile(config, import_custom_modules=False)
        for key in getattr(args, 'cfg_options', None) or ():
            part = cfg
            for step in key.split('.'):
                part = part[int(step)] if step.isdigit() else part[step]


def texts_of_tests():
    """Every text in the code of the tests, but for docstrings and comments."""
    for path in (ROOT / 'tests').rglob('*.py'):
        if path == Path(__file__):
            continue
        tree = ast.parse(path.read_text())
        described = (ast.Module, ast.ClassDef, ast.FunctionDef)
        docs = {
            ast.get_docstring(node, False) for node in ast.walk(tree) if isinstance(node, described)
        }
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and node.value not in docs
            ):
                yield node.value


def test_every_program_of_the_docs_is_run_by_a_test():
    """By its path below the checkout or below tools/, or (converters) by its name alone."""
    named = {text.removeprefix('tools/') for text in texts_of_tests()}
    for _, words in ALL_COMMANDS:
        if words[0] != 'pip':
            program = as_python(words)[0] if as_python(words) else words[0].removeprefix('./')
            ways = {program.removeprefix('tools/'), Path(program).name}
            if 'dataset_converters' in program:
                ways.add(Path(program).stem)
            assert ways & named, f'no test runs {program}'
