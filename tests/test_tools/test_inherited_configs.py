"""Tools on a config that inherits by the name of the package, which puts scopes into every part."""

import sys

import pytest
import torch

from mmmae_st import command_line
from mmmae_st.models import SpacetimeViT


@pytest.fixture
def config(tmp_path, monkeypatch, make_clip):
    """Such a config in a folder of one's own, with a clip; the folder is the current one."""
    monkeypatch.chdir(tmp_path)
    for split in ('train', 'val'):
        (tmp_path / split).mkdir()
        for number in range(2):
            make_clip(tmp_path / split / f'{number}.mp4', num_frames=30)
    (tmp_path / 'mine.py').write_text(f"""
_base_ = 'mmmae_st::smoke.py'
train_dataloader = dict(dataset=dict(data_root='{tmp_path}'))
val_dataloader = dict(dataset=dict(data_root='{tmp_path}'))
""")
    cfg = command_line.load_config('mine.py')
    assert cfg.model._scope_ == cfg.param_scheduler[0]._scope_ == 'mmmae_st'
    return 'mine.py'


@pytest.mark.parametrize(
    ('path', 'args', 'made'),
    [
        ('analysis_tools/print_config.py', '', ''),
        ('analysis_tools/get_flops.py', '', ''),
        ('analysis_tools/plot_schedules.py', '--out lr.png', 'lr.png'),
        ('analysis_tools/benchmark_step.py', '--batch 1 --runs 1 --out t.json', 't.json'),
        ('visualizations/browse_dataset.py', '--num 1', 'samples/*.png'),
        ('visualizations/visualize_masks.py', 'train/0.mp4 --out m.png --config', 'm.png'),
    ],
)
def test_tools_that_look(tool, config, tmp_path, capsys, path, args, made):
    words = args.split()
    words = [*words, config] if '--config' in words else [config, *words]
    tool(path).main(words)
    assert capsys.readouterr().out
    assert not made or list(tmp_path.glob(made))


def test_training(tool, config, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['train.py', config, '--work-dir', 'run'])
    tool('train.py').main()
    assert (tmp_path / 'run' / 'epoch_2.pth').exists()


def test_quickstart(tool, config, tmp_path, monkeypatch):
    arguments = ['quickstart.py', 'train', '--config', config, '--work-dir', 'quick']
    monkeypatch.setattr(sys, 'argv', arguments)
    quickstart = tool('quickstart.py')
    monkeypatch.setattr(quickstart, 'NUM_TRAIN', 2)
    quickstart.main()
    assert (tmp_path / 'quick' / 'reconstruction.png').exists()


def test_frozen_evaluation(tool, config, tmp_path, monkeypatch):
    for name in ('train', 'val'):
        (tmp_path / f'{name}.txt').write_text('0.mp4 0\n1.mp4 1\n')
    backbone = dict(
        arch=dict(embed_dims=32, depth=2, num_heads=2), img_size=32, num_frames=8, patch_size=8
    )
    given = dict(backbone, arch=dict(_delete_=True, **backbone['arch']))
    loaders = '\n'.join(
        f"""
{name}_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    dataset=dict(
        ann_file='{kind}.txt', data_root='', data_prefix=dict(video='{kind}'), pipeline=pipeline
    ),
)"""
        for name, kind in (('train', 'train'), ('test', 'val'))
    )
    (tmp_path / 'frozen.py').write_text(f"""
_base_ = 'mmmae_st::frozen/vitb_ucf101.py'
backbone = {given!r}
pipeline = [
    dict(type='LoadClips', clip_len=8, frame_interval=2, sampling='uniform', num_clips=1),
    dict(type='ClipResize', short_side=32),
    dict(type='ClipCenterCrop', size=32),
    dict(type='PackClips'),
]
{loaders}
knn = dict(num_neighbors=(1,))
linear = dict(epochs=2, batch_size=2)
attentive = dict(epochs=2, batch_size=2, num_heads=2)
""")
    cfg = command_line.load_config('frozen.py')
    assert cfg.backbone._scope_ == 'mmmae_st'
    torch.save(SpacetimeViT(**backbone).state_dict(), 'encoder.pth')
    methods = ['knn', 'linear', 'attentive']
    arguments = ['frozen_eval.py', 'frozen.py', 'encoder.pth', *methods, '--work-dir', 'out']
    monkeypatch.setattr(sys, 'argv', arguments)
    tool('frozen_eval.py').main()
    log = (tmp_path / 'out' / 'frozen_eval.log').read_text()
    assert all(name in log for name in ('k-NN', 'linear probe', 'attentive probe'))
