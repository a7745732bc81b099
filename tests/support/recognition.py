"""Labelled clips and a tiny recogniser, made from the configs that users run."""

import runpy
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import av
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from support.instances import kept_instances, no_instances

ROOT = Path(__file__).parents[2]
COLOURS = ((200, 60, 60), (60, 200, 60), (60, 60, 200))
BACKBONE = dict(
    arch=dict(embed_dims=32, depth=2, num_heads=2), img_size=32, num_frames=8, patch_size=8
)

_names = count()


@contextmanager
def mmaction_scope() -> Iterator[None]:
    """mmaction2's scope, and afterwards the scopes there were."""
    with kept_instances():
        DefaultScope.get_instance(f'recognition_{next(_names)}', scope_name='mmaction')
        yield


@pytest.fixture
def scope() -> Iterator[None]:
    """Run the test in mmaction2's scope."""
    with mmaction_scope():
        yield


@pytest.fixture(scope='session')
def run_tool() -> Callable[..., None]:
    """Run a script in this process, in a folder, as if from the command line."""

    def run(script: str, *args: str | Path, folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch, no_instances():
            patch.setattr(sys, 'argv', [script, *map(str, args)])
            patch.setenv('LOCAL_RANK', '0')
            patch.chdir(folder)
            runpy.run_path(str(ROOT / script), run_name='__main__')

    return run


def write_coloured(path: Path, colour: tuple[int, int, int], seed: int) -> None:
    """16 frames of 48 x 40: noise around a colour, and a square that moves."""
    rng = np.random.default_rng(seed)
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=30)
        stream.width, stream.height, stream.pix_fmt = 48, 40, 'yuv420p'
        stream.options = {'threads': '1'}
        base = rng.normal(colour, 25, (40, 48, 3))
        for i in range(16):
            image = base.copy()
            image[8:20, 2 * i : 2 * i + 12] = 255
            frame = av.VideoFrame.from_ndarray(image.clip(0, 255).astype(np.uint8), format='rgb24')
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.fixture(scope='session')
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with train.txt (12 videos of 3 classes), val.txt (6) and the videos."""
    folder = tmp_path_factory.mktemp('labelled')
    for name, videos in (('train', 12), ('val', 6)):
        (folder / f'videos_{name}').mkdir()
        lines = []
        for i in range(videos):
            write_coloured(folder / f'videos_{name}' / f'{i}.mp4', COLOURS[i % 3], i + len(name))
            lines.append(f'{i}.mp4 {i % 3}\n')
        (folder / f'{name}.txt').write_text(''.join(lines))
    return folder


@pytest.fixture(scope='session')
def tiny_config(labelled: Path) -> Callable[..., Config]:
    """Make the Kinetics config of ViT-B small: 3 classes, 8 frames of 32 x 32, 2 epochs."""

    def make(checkpoint: Path | str | None = None, num_frames: int = 8) -> Config:
        cfg = Config.fromfile(ROOT / 'configs' / 'finetune' / 'vitb_k400.py')
        cfg.model.backbone.update(BACKBONE)
        cfg.model.backbone.num_frames = num_frames
        if checkpoint is None:
            del cfg.model.backbone['init_cfg']
        else:
            cfg.model.backbone.init_cfg.checkpoint = str(checkpoint)
        cfg.model.cls_head.update(num_classes=3, in_channels=32)
        for augment in cfg.model.data_preprocessor.blending.augments:
            augment.num_classes = 3
        for name in ('train', 'val', 'test'):
            loader = cfg[f'{name}_dataloader']
            loader.update(num_workers=0, persistent_workers=False, pin_memory=False)
            loader.dataset.data_root = str(labelled)
            for step in loader.dataset.pipeline:
                if step.type == 'LoadClips':
                    step.update(clip_len=num_frames, frame_interval=1)
                for key in ('size', 'short_side'):
                    if key in step:
                        step[key] = 32
        cfg.train_cfg.update(max_epochs=2, val_interval=2)
        cfg.param_scheduler = cfg.param_scheduler[1:]
        cfg.param_scheduler[0].update(T_max=2, begin=0, end=2)
        cfg.default_hooks.logger.interval = 1
        cfg.visualizer.vis_backends = [dict(type='LocalVisBackend')]
        cfg.experiment_name = f'recognition_{next(_names)}'
        return cfg

    return make


def tiny_frozen_config(labelled: Path) -> Config:
    """Make the frozen evaluation of ViT-B on UCF101 small, with the lists of ``labelled``."""
    cfg = Config.fromfile(ROOT / 'configs' / 'frozen' / 'vitb_ucf101.py')
    cfg.backbone.update(
        arch=dict(embed_dims=32, depth=2, num_heads=2), img_size=32, num_frames=8, patch_size=8
    )
    for name, kind in (('train', 'train'), ('test', 'val')):
        loader = cfg[f'{name}_dataloader']
        loader.update(batch_size=4, num_workers=0, pin_memory=False)
        loader.dataset.update(
            data_root=str(labelled),
            ann_file=f'{kind}.txt',
            data_prefix=dict(video=f'videos_{kind}'),
        )
        steps = loader.dataset.pipeline
        steps[0].update(clip_len=8, frame_interval=1)
        steps[1].short_side = steps[2].size = 32
    cfg.knn.num_neighbors = (1, 3)
    cfg.linear.update(epochs=5, batch_size=4)
    cfg.attentive.update(epochs=5, batch_size=4, num_heads=2)
    return cfg
