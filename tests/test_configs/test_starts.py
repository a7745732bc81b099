"""Every config for training makes a step at its full size: pytest -m long -s -k CONFIG

One clip of a video made here, on the CPU, in a process of its own; seconds and memory are printed.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from mmengine.config import Config
from support.runs import free_port
from support.tiny_ava import make_tiny_ava

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs'
FILES = [
    str(path.relative_to(CONFIGS))
    for path in sorted(CONFIGS.rglob('*.py'))
    if not {'_base_', 'frozen'} & set(path.relative_to(CONFIGS).parts)
]
SHARDED = 'mae_st_vith_k400_fsdp.py'  # needs several processes
IN_TWO = ['mae_st_vitb_k400.py', 'mae_st_vitl_k400.py', SHARDED, 'finetune/vitb_k400.py']
# GiB of a process: weights, gradients, the optimiser's state and one clip, in float32
MEMORY = {'vith': 14, 'vitl': 8, 'vitb': 4}
pytestmark = pytest.mark.long


@pytest.fixture(scope='module')
def data(tmp_path_factory, make_clip) -> Path:
    """A folder to run in: two videos with a list, and a small AVA as the configs expect it."""
    root = tmp_path_factory.mktemp('starts')
    for i in range(2):
        make_clip(root / f'{i}.mp4', num_frames=300, width=340, height=256)
    make_tiny_ava(root / 'data')
    return root


def one_step(file: str, data: Path, processes: int) -> Config:
    """The config with one clip a process, one step, no validation and nothing that is written."""
    cfg = Config.fromfile(CONFIGS / file)
    loader = cfg.train_dataloader
    sources = loader.dataset.get('datasets', [loader.dataset])
    loader.update(batch_size=len(sources), num_workers=0)
    loader.update(persistent_workers=False, pin_memory=False)
    if 'datasets' in loader.dataset:  # one clip of each
        loader.dataset.update(length=len(sources) * processes, weights=None)
    if cfg.default_scope == 'mmaction' and 'detection' in file:
        loader.dataset.indices = list(range(processes))
    else:
        (data / 'list.txt').write_text(''.join(f'{i}.mp4 0\n' for i in range(processes)))
        for source in sources:
            source.pop('frame_tmpl', None)  # files here
            source.update(
                data_root=str(data), ann_file='list.txt', data_prefix=dict(video=''), indices=None
            )
    for step in (step for source in sources for step in source.pipeline):
        if step.type.endswith('LoadClips'):
            step.num_clips = 1
    if 'init_cfg' in cfg.model.backbone:  # the checkpoint of a pretraining
        cfg.model.backbone.init_cfg = None
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    cfg.optim_wrapper.accumulative_counts = 1
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1)
    cfg.default_hooks.checkpoint.update(interval=1000, save_last=False, save_best=None)
    cfg.visualizer.vis_backends = []
    return cfg


def start(file: str, data: Path, folder: Path, processes: int = 1) -> None:
    size = next((gib for name, gib in MEMORY.items() if name in file), 8)
    there = psutil.virtual_memory().available / 2**30
    if there < size * (1 if file == SHARDED else processes):
        pytest.skip(f'{file} needs {size} GiB a process, {there:.0f} are there')
    config = folder / 'config.py'
    one_step(file, data, processes).dump(config)
    if processes == 1:
        command = [sys.executable, ROOT / 'tools/train.py', config]
    else:
        command = [ROOT / 'tools/dist_train.sh', config, str(processes)]
    env = dict(
        PYTHONPATH=str(ROOT), PYTHON=sys.executable, PORT=free_port(), CUDA_VISIBLE_DEVICES='',
        OMP_NUM_THREADS=str(max(os.cpu_count() // processes, 1)), GLOO_SOCKET_IFNAME='lo',
    )  # fmt: skip
    log, began = folder / 'log.txt', time.monotonic()
    with log.open('w') as out:
        process = subprocess.Popen(
            [*map(str, command), '--work-dir', str(folder / 'run')],
            cwd=data, env={**os.environ, **env}, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds, text = time.monotonic() - began, log.read_text()
    assert process.returncode == 0, text[-3000:]
    assert re.search(r'Epoch\(train\)\s+\[1\]\[1/1\].* loss: \d', text), text[-3000:]
    step = re.search(r'the first step took ([\d.]+) s', text)[1]
    print(
        f'\n{file}, {processes} process{"es" * (processes > 1)}: {seconds:.0f} s, the step {step}'
        f' s, {usage.ru_maxrss / 2**20:.1f} GiB in the largest'
    )


@pytest.mark.parametrize('file', [file for file in FILES if file != SHARDED])
def test_one_process(file, data, tmp_path):
    start(file, data, tmp_path)


@pytest.mark.parametrize('file', IN_TWO)
def test_two_processes(file, data, tmp_path):
    start(file, data, tmp_path, 2)
