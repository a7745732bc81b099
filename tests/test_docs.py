"""The documentation does what it says: its Python and commands run, its links lead somewhere."""

import argparse
import ast
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from mmengine.config import Config
from support.tiny_checkpoint import write_tiny_checkpoint

from mmmae_st.__main__ import PROGRAMS, take_gpus
from mmmae_st.analysis.config_cost import config_cost
from mmmae_st.config import check_config, override
from mmmae_st.config.packaged import config_names, find_config
from mmmae_st.registry import MODELS

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for pattern in ('*.md', 'docs/*.md', 'configs/**/*.md', 'projects/**/*.md')
    for path in ROOT.glob(pattern)
)
COMMAND = re.compile(
    r'\s*(?:\w+=\S+ +)*((?:python|pip install|(?:\./)?tools/\w+\.sh|mmmae_st(?= \w)) .*)'
)
FENCE = re.compile(r'^ *```(\w+)\n(.*?)^ *```', re.MULTILINE | re.DOTALL)


def name(page):
    return str(page.relative_to(ROOT))


def blocks(page, language):
    return [code for kind, code in FENCE.findall(page.read_text()) if kind == language]


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


def commands(page):
    """The commands of a page as lists of words, [optional] ones included, comments left out.

    Those with variables of the shell are not among them.
    """
    for line in page.read_text().replace('\\\n', ' ').splitlines():
        match = COMMAND.match(line)
        if match and '$' not in line:
            command = re.sub(r' \[([^]]*)\]', r' \1', match[1].split('  #')[0])
            yield shlex.split(command)


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


@pytest.mark.slow
def test_your_videos_from_top_to_bottom(tmp_path, make_clip):
    """The commands of docs/your_videos.md as written, with a tiny model and four clips."""
    clips, small = tmp_path / 'clips', tmp_path / 'small'
    clips.mkdir()
    for i in range(4):
        make_clip(clips / f'{i}.mp4', num_frames=20)
    grid = 'img_size=32 patch_size=16 num_frames=16'
    tiny = [
        'model.backbone.arch=tiny',
        *(f'model.{part}.{size}' for part in ('backbone', 'decoder') for size in grid.split()),
        'model.decoder.encoder_dims=192',
        'model.decoder.depth=1',
        'train_dataloader.dataset.pipeline.0.num_clips=2',
        'train_dataloader.dataset.pipeline.1.size=32',
        'train_dataloader.batch_size=1',
        'train_dataloader.num_workers=1',
        'train_cfg.max_epochs=1',
    ]
    seen = []
    for words in commands(ROOT / 'docs/your_videos.md'):
        if words[0] != 'python' or words[1] == '-m':
            continue
        line = [
            word.replace('/path/to/clips', str(clips)).replace('/path/to/small', str(small))
            for word in words[1:]
        ]
        line[0] = str(ROOT / line[0])
        line = [str(ROOT / word) if word.startswith('configs/') else word for word in line]
        if '--cfg-options' in line:
            line += tiny
        result = subprocess.run(
            [sys.executable, *line],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={'PYTHONPATH': str(ROOT), 'PATH': '/usr/bin:/bin', 'OMP_NUM_THREADS': '1'},
        )
        assert result.returncode == 0, f'{line}: {result.stdout}{result.stderr}'
        seen.append(Path(line[0]).name)
    assert seen == ['check_videos.py', 'prepare_videos.py', 'browse_dataset.py', 'train.py']
    assert len(list(small.glob('*.mp4'))) == 4
    assert len(list((tmp_path / 'samples').glob('*.png'))) == 4
    assert (tmp_path / 'work_dirs/mae_st_vitb_folder_1gpu/epoch_1.pth').exists()


def messages():
    """Text of each message that the package raises, '...' for what varies."""
    for path in (ROOT / 'mmmae_st').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            call = node.exc if isinstance(node, ast.Raise) else None
            if isinstance(call, ast.Call) and call.args and ast.unparse(call.func) != 'SystemExit':
                yield path.relative_to(ROOT / 'mmmae_st'), template(call.args[0])


def template(node):
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return ''.join(template(value) for value in node.values)
    return '...'


def quoted():
    """Messages in the first columns of the tables of docs/troubleshooting.md."""
    for line in (ROOT / 'docs/troubleshooting.md').read_text().splitlines():
        if line.startswith('| `'):
            yield from re.findall(r'`([^`]+)`', line.split(' | ')[0])


@pytest.mark.parametrize('message', list(quoted()))
def test_messages_of_the_troubleshooting_page_are_ours(message):
    sources = [*(ROOT / 'mmmae_st').rglob('*.py'), *(ROOT / 'tools').rglob('*.py')]
    joined = [re.sub(r"""['"]\s*\n\s*f?['"]""", '', path.read_text()) for path in sources]
    for part in filter(None, (text.strip(' .') for text in message.split('...'))):
        assert any(part in text for text in joined), f'nothing says {part!r}'


# Their messages name what was asked of a picture, a count or a file just written.
COUNT_OR_DRAW = (
    *('analysis/config_cost.py', 'analysis/logs.py', 'analysis/pretraining_cost.py'),
    *('analysis/schedules.py', 'apis/export.py', 'apis/features.py', 'apis/load.py'),
    *('apis/publish.py', 'apis/reconstruct.py', 'visualization/masks.py'),
    *('visualization/reconstruction.py', 'visualization/sheet.py'),
)


def test_every_message_is_explained():
    """But for those that say what an argument must be, and those of drawing and counting."""
    explained = [[part.strip(' .') for part in m.split('...')] for m in quoted()]
    unexplained = []
    for path, message in messages():
        says_all = re.search(r'\bmust\b|\bneeds\b|valid keys|out of range', message)
        of_python = message.startswith('module ... has no attribute')
        if says_all or of_python or not re.search('[a-z]', message) or str(path) in COUNT_OR_DRAW:
            continue
        if not any(all(part in message for part in parts) for parts in explained):
            unexplained.append(f'{path}: {message}')
    assert not unexplained, '\n'.join(unexplained)


def operations_table():
    """Rows of the table in docs/recipes.md: config, then the cells as written."""
    text = (ROOT / 'docs/recipes.md').read_text().split('## Operations')[1]
    for line in text.splitlines():
        match = re.match(r'\| `(\S+)` \|(.*)\|$', line)
        if match:
            yield match[1], [cell.strip() for cell in match[2].split('|')]


@pytest.mark.parametrize(('config', 'cells'), list(operations_table()))
def test_operations_in_the_docs_are_those_of_the_tool(config, cells):
    if config.startswith('finetune'):
        pytest.importorskip('mmaction')
    cost = config_cost(Config.fromfile(ROOT / 'configs' / config))
    assert cells[0] == f'{cost.total.parameters:,}'
    if config.startswith('finetune'):
        assert cells[1] == f'{cost.total.multiply_adds / 1e9:.3f}'
        return
    for cell, counts in zip(cells[1:3], (cost.executed, cost.published), strict=True):
        dense, sparse, ratio = counts['dense'] / 1e9, counts['sparse'] / 1e9, counts['ratio']
        assert cell == f'{dense:.1f} / {sparse:.1f} = {ratio:.2f}'


def test_published_weights_are_listed_for_configs_that_fit():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    models = [
        model
        for file in index['Import']
        for model in yaml.safe_load((ROOT / file).read_text())['Models']
    ]
    assert len({model['Name'] for model in models}) == len(models) == 9
    assert len({model['Weights'] for model in models}) == len(models)
    for model in models:
        metadata = model['Metadata']
        assert model['Weights'].startswith('https://dl.fbaipublicfiles.com/')
        assert metadata['Hosted By'].endswith('not by us')
        assert re.fullmatch(r'[0-9a-f]{6}|none published', str(metadata['Weights MD5']))
    stated = {(model['Config'], model['Metadata'].get('Parameters')) for model in models}
    for config, parameters in stated:
        if parameters is None:
            assert (ROOT / config).is_file()
        else:
            cost = config_cost(Config.fromfile(ROOT / config))
            assert cost.total.parameters == parameters
    assert any(parameters is not None for _, parameters in stated)


@pytest.mark.parametrize('number', [0, 1])
def test_configs_of_the_fine_tuning_page_are_sound(tmp_path, number):
    pytest.importorskip('mmaction')
    code = blocks(ROOT / 'docs/finetune.md', 'python')[number]
    (tmp_path / 'config.py').write_text(code + "default_scope = 'mmaction'\n")
    cfg = Config.fromfile(tmp_path / 'config.py')
    check_config(cfg)
    if number == 0:
        assert cfg.val_dataloader.dataset.ann_file == 'test.txt'
        assert cfg.train_dataloader.dataset.type == 'VideoDataset'


@pytest.mark.parametrize('number', [0, 1])
def test_configs_of_the_page_on_own_configs_are_sound(tmp_path, number):
    (tmp_path / 'config.py').write_text(blocks(ROOT / 'docs/own_config.md', 'python')[number])
    cfg = Config.fromfile(tmp_path / 'config.py')
    check_config(cfg)
    model = MODELS.build(cfg.model)
    sizes = [(8, 12, 12), (8, 14, 14)][number]
    assert model.backbone.grid[1:] == model.decoder.pos_embed.grid[1:] == sizes[1:]
    hooks = cfg.default_hooks
    assert (hooks.explosion.get('window'), 'ema' in hooks) == [(None, False), (10, True)][number]


def test_what_to_change_is_where_the_recipes_say():
    table = (ROOT / 'docs/recipes.md').read_text().split('## What to change')[1].split('\n## ')[0]
    rows = [line.split(' | ')[1] for line in table.splitlines() if '=' in line and '|' in line]
    assert len(rows) == 8
    for config in ('mae_st_vitl_k400.py', 'mae_st_vitb_folder_1gpu.py'):
        for row in rows:
            cfg = Config.fromfile(ROOT / 'configs' / config)
            words = re.match('`([^`]*)`', row)[1].split()
            options = dict(word.split('=') for word in words)
            for key in options:
                part = cfg
                for step in key.split('.')[:-1]:
                    part = part[int(step)] if step.isdigit() else part[step]
                assert isinstance(part, dict), key
            override(cfg, {key: yaml.safe_load(value) for key, value in options.items()})
            check_config(cfg)


def test_extension_examples_work_as_written(tmp_path, make_clip):
    scope = {}
    for code in blocks(ROOT / 'docs/extend.md', 'python'):
        assert len([line for line in code.splitlines() if line.strip()]) < 30
        exec(compile(code, 'extend.md', 'exec'), scope)

    masking = scope['CheckerboardMasking'](ratio=0.5)
    ids = masking.draw((2, 4, 4), np.random.default_rng(0))
    assert len(ids) == 16 and len(np.intersect1d(ids, ids + 1)) < 16

    head = scope['MeanColourHead'](8, patch_size=8)
    video = torch.rand(1, 3, 4, 16, 16)
    target = head.make_target(video, torch.tensor([[3]]))
    torch.testing.assert_close(target[0, 0], video[0, :, 0, 8:, 8:].mean(dim=(1, 2)))
    loss = head.loss(head(torch.randn(1, 1, 8)), video, torch.tensor([[3]]))
    assert torch.isfinite(loss).all()
    assert not head.predicts_pixels

    make_clip(tmp_path / 'a.mp4', num_frames=4)
    (tmp_path / 'list.json').write_text('[{"file": "a.mp4", "class": 2}]')
    dataset = scope['JsonVideoDataset'](
        ann_file='list.json',
        data_root=str(tmp_path),
        pipeline=[
            dict(type='mmmae_st.LoadClips', clip_len=4, frame_interval=1),
            dict(type='mmmae_st.PackClips'),
        ],
    )
    assert dataset[0]['data_samples'].label == 2


def test_page_on_python_works_as_written(tmp_path, make_clip, monkeypatch):
    """Its code, in order, with a tiny model and clips."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'videos').mkdir()
    for name in ('a', 'b'):
        make_clip(tmp_path / 'videos' / f'{name}.mp4', num_frames=40)
    write_tiny_checkpoint(tmp_path / 'epoch_1.pth')
    scope = dict(
        CHECKPOINT='epoch_1.pth', VIDEO='videos/a.mp4', FOLDER='videos', clip_size=(8, 32, 32)
    )
    for code in blocks(ROOT / 'docs/python.md', 'python'):
        exec(compile(code, 'python.md', 'exec'), scope)
    assert scope['last'].shape == (1, 32, 4, 4, 4)
    assert scope['found']['features'].dtype == np.float16
    assert sorted(path.name for path in (tmp_path / 'features').glob('*.npy')) == ['a.npy', 'b.npy']
    assert (tmp_path / 'pictures' / 'a.png').exists()
    assert type(scope['model']).__name__ == 'SpatiotemporalMAE'


def test_python_of_the_readme_runs(tmp_path, monkeypatch, clips):
    """With a tiny checkpoint; the line that needs a fine-tuned one is left out."""
    monkeypatch.setattr('matplotlib.pyplot.show', lambda: None)
    write_tiny_checkpoint(tmp_path / 'epoch_200.pth')
    (code,) = blocks(ROOT / 'README.md', 'python')
    assert code.count('ActionInferencer') == 1 and len(code.splitlines()) <= 10
    code = '\n'.join(line for line in code.splitlines() if 'ActionInferencer' not in line)
    code = code.replace('epoch_200.pth', str(tmp_path / 'epoch_200.pth'))
    exec(compile(code.replace('clip.mp4', str(clips['plain'])), 'README.md', 'exec'), {})
