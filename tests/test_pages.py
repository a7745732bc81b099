"""What single pages of the documentation say is so: their Python runs, their tables are right."""

import ast
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from mmengine.config import Config
from support import runs
from support.docs import blocks, commands
from support.tiny_checkpoint import write_tiny_checkpoint

from mmmae_st.analysis.config_cost import config_cost
from mmmae_st.config import check_config, override
from mmmae_st.registry import MODELS

ROOT = Path(__file__).parents[1]


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
        script, *line = [
            word.replace('/path/to/clips', str(clips)).replace('/path/to/small', str(small))
            for word in words[1:]
        ]
        line = [str(ROOT / word) if word.startswith('configs/') else word for word in line]
        if '--cfg-options' in line:
            line += tiny
        run = runs.fork(script, line, tmp_path / 'said', cwd=tmp_path, before=[runs.be_quick])
        assert run.wait() == [0], f'{line}: {run.output()}'
        seen.append(Path(script).name)
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


@cache
def cost_of(config):
    return config_cost(Config.fromfile(ROOT / 'configs' / config))


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
    cost = cost_of(config)
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
            assert cost_of(config.removeprefix('configs/')).total.parameters == parameters
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
