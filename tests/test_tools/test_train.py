"""What tools/train.py makes of its command line."""

import sys
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from torch.utils.data import DataLoader

from mmmae_st.datasets import VideoDataset
from mmmae_st.engine.runner import ending
from mmmae_st.engine.runner.ending import one_cause
from mmmae_st.engine.runner.resume import check_fills_encoder, warn_of_other_optimizer
from mmmae_st.models import SpacetimeViT

MODEL = dict(backbone=dict(type='SpacetimeViT'))


@pytest.fixture
def load(tool, tmp_path, monkeypatch):
    """The config that a command line gives."""
    train = tool('train.py')

    def load(*args, **config):
        config.setdefault('optim_wrapper', dict(optimizer=dict(type='AdamW', lr=1e-3)))
        config.setdefault('model', dict(MODEL, type='SpatiotemporalMAE'))
        path = tmp_path / 'config.py'
        Config(dict(config, default_scope='mmmae_st')).dump(path)
        monkeypatch.setattr(sys, 'argv', ['train.py', str(path), *args])
        return train.load_config(train.parse_args())

    return load


@pytest.fixture
def parse(tool, monkeypatch):
    """The config that the arguments give."""
    train = tool('train.py')

    def parse(*args):
        monkeypatch.setattr(sys, 'argv', ['train.py', *map(str, args)])
        return train.load_config(train.parse_args())

    return parse


def test_a_folder_of_videos_is_trained_on_by_a_preset(parse, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    (tmp_path / 'clips').mkdir()
    (tmp_path / 'clips' / 'a.mp4').touch()
    options = ['--cfg-options', 'train_dataloader.batch_size=2']
    cfg = parse(tmp_path / 'clips', '--epochs', 3, *options)
    assert "Preset 'tiny'" in capsys.readouterr().out
    assert cfg.train_dataloader.dataset.data_root == str(tmp_path / 'clips')
    assert cfg.train_dataloader.batch_size == 2 and cfg.train_cfg.max_epochs == 3
    assert cfg.val_dataloader is None and cfg.work_dir == 'work_dirs/clips_tiny'


def test_preset_and_epochs_are_for_folders(parse):
    for option in (['--preset', 'base'], ['--epochs', '5']):
        with pytest.raises(ValueError, match='are for a folder of videos, and smoke is none'):
            parse('smoke', *option)


def test_amp(load):
    for kind in ('OptimWrapper', 'AmpOptimWrapper'):
        wrapper = dict(type=kind, optimizer=dict(type='AdamW', lr=1e-3))
        cfg = load('--amp', optim_wrapper=wrapper)
        assert cfg.optim_wrapper.type == 'mmmae_st.BFloat16OptimWrapper'
    for kind in ('ShardedOptimWrapper', 'mmmae_st.ShardedOptimWrapper', 'BFloat16OptimWrapper'):
        assert load('--amp', optim_wrapper=dict(type=kind)).optim_wrapper.type == kind
        cfg = load('--force-amp', optim_wrapper=dict(type=kind))
        assert cfg.optim_wrapper == dict(type=kind, force_bfloat16=True)
    assert load('--force-amp').optim_wrapper.force_bfloat16
    with pytest.raises(ValueError, match="optim_wrapper.type is 'ApexOptimWrapper'"):
        load('--amp', optim_wrapper=dict(type='ApexOptimWrapper'))


@pytest.mark.parametrize('args', [(), ('--auto-scale-lr',)])
def test_accumulated_steps_count_into_the_batch(load, args):
    wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3), accumulative_counts=4)
    given = dict(base_batch_size=16) if args else dict(base_batch_size=16, enable=True)
    cfg = load(*args, optim_wrapper=wrapper, auto_scale_lr=given)
    assert cfg.auto_scale_lr == dict(base_batch_size=4, enable=True)
    with pytest.raises(ValueError, match='base_batch_size=18 must be a multiple of .*=4'):
        load(*args, optim_wrapper=wrapper, auto_scale_lr=dict(given, base_batch_size=18))


def test_without_being_asked_the_rate_stays(load):
    wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3), accumulative_counts=4)
    assert load(
        optim_wrapper=wrapper, auto_scale_lr=dict(base_batch_size=18)
    ).auto_scale_lr == dict(base_batch_size=18)
    with pytest.raises(ValueError, match='--auto-scale-lr needs auto_scale_lr'):
        load('--auto-scale-lr')


@pytest.mark.parametrize('kind', ['SpatiotemporalMAE', 'mmmae_st.SpatiotemporalMAE'])
def test_our_loader_takes_the_weights_of_a_pretraining_model(load, kind):
    cfg = load(model=dict(MODEL, type=kind), load_from='a.pth')
    assert cfg.load_from is None
    assert cfg.model.init_cfg == dict(type='Pretrained', checkpoint='a.pth')
    cfg = load(model=dict(MODEL, type='Recognizer3D'), load_from='a.pth')
    assert cfg.load_from == 'a.pth' and 'init_cfg' not in cfg.model


def test_weights_are_no_run_to_resume(load, tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save(dict(state_dict={}), path)
    with pytest.raises(ValueError, match='holds no training state .* use load_from'):
        load('--resume', str(path))
    with pytest.raises(FileNotFoundError, match='nothing.pth does not exist'):
        load('--resume', 'nothing.pth')
    cfg = load('--resume', str(path), '--trust-checkpoint', str(path))
    assert cfg.resume and cfg.load_from == str(path)


def test_data_that_is_not_there_is_named_in_one_line(tool, tmp_path, monkeypatch, capsys):
    train = tool('train.py')
    run = str(tmp_path / 'run')
    for option, message in {
        'train_dataloader.dataset.data_root=/none': "data folder '/none/train' is not a folder",
        'train_dataloader.dataset.ann_file=none.txt': "none.txt' is not a file",
    }.items():
        words = ['train.py', 'configs/smoke.py', '--work-dir', run, '--cfg-options', option]
        monkeypatch.setattr(sys, 'argv', words)
        with pytest.raises(SystemExit) as end:
            train.main()
        told = ''.join([*capsys.readouterr(), str(end.value)])
        assert message in told and 'Traceback' not in told and 'File "' not in told


def test_a_broken_video_of_a_validation_is_named_in_one_line(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(ending, 'print_log', lambda text, **options: told.append(text))
    (tmp_path / 'a.mp4').write_text('x')
    pipeline = [dict(type='LoadClips')]
    dataset = VideoDataset(data_root=str(tmp_path), pipeline=pipeline, test_mode=True)
    for workers in (0, 1):
        with pytest.raises(SystemExit, match='1'), one_cause():
            next(iter(DataLoader(dataset, num_workers=workers)))
        assert told.pop().startswith(f'error: cannot read {tmp_path}/a.mp4: InvalidDataError')
        assert not told


def test_weights_to_start_from_fill_the_encoder():
    def runner(num_frames=4):
        arch = dict(embed_dims=16, depth=1, num_heads=2)
        backbone = SpacetimeViT(arch, img_size=16, num_frames=num_frames, patch_size=8)
        return SimpleNamespace(model=torch.nn.ModuleDict(dict(backbone=backbone)).eval())

    state = {f'module.{name}': value for name, value in runner().model.state_dict().items()}
    for checkpoint in (dict(state_dict=state), state):
        check_fills_encoder(runner(), checkpoint)
    with pytest.raises(ValueError, match=r'leave 1 of \d+ .*pos_embed.temporal.*init_cfg=dict'):
        check_fills_encoder(runner(num_frames=8), dict(state_dict=state))
    theirs = dict(model_state={'blocks.0.norm1.weight': torch.ones(16)})
    with pytest.raises(ValueError, match=r'leave (\d+) of \1 parameters of the encoder'):
        check_fills_encoder(runner(), theirs)
    other = SimpleNamespace(model=torch.nn.Linear(1, 1))
    check_fills_encoder(other, dict(state_dict={}))


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('train_pipeline.3.ratio=0.5', r'give train_dataloader\.dataset\.pipeline\.3\.ratio'),
        ('seed=7', r"nothing reads 'seed' .* give randomness\.seed"),
        ('resume_from=a.pth', 'give --resume'),
        ('data_root=videos', r'give train_dataloader\.dataset\.data_root'),
        ('optim_wraper.type=OptimWrapper', r'give optim_wrapper\.type'),
        ('something.else=1', 'the keys are those of the parts of a Runner'),
    ],
)
def test_overrides_that_nothing_reads(load, option, message):
    with pytest.raises(ValueError, match=message):
        load('--cfg-options', option)


def test_overrides(load):
    cfg = load('--cfg-options', 'model.backbone.arch=tiny', 'default_hooks.logger.interval=5')
    assert cfg.model.backbone.arch == 'tiny' and cfg.default_hooks.logger.interval == 5


def test_another_rate_for_a_resumed_run_is_warned_of():
    before = Config(dict(optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-3))))
    for lr, warned in ((1e-3, False), (0.1, True)):
        said = []
        now = Config(dict(optim_wrapper=dict(optimizer=dict(type='AdamW', lr=lr))))
        runner = SimpleNamespace(cfg=now, logger=SimpleNamespace(warning=said.append))
        warn_of_other_optimizer(runner, before.pretty_text)
        assert bool(said) == warned
        assert all(r'(lr=0.1)' in text and "'lr': 0.001" in text for text in said)
        for unknown in (None, '', 'import os'):
            warn_of_other_optimizer(runner, unknown)
