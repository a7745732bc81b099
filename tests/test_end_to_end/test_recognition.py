"""Pretrain some steps, fine-tune from that checkpoint, test with several views, k-NN."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from support import runs
from support.recognition import tiny_frozen_config

ROOT = Path(__file__).parents[2]
pytest.importorskip('mmaction')


def log_of(work_dir: Path) -> str:
    """The newest log of the main process."""
    logs = [path for path in work_dir.glob('*/*.log') if 'rank' not in path.name]
    return max(logs, key=lambda path: path.name).read_text()


def accuracy(log: str) -> float:
    return float(re.findall(r'acc/top1: ([\d.]+)', log)[-1])


@pytest.fixture(scope='session')
def pretrained(
    labelled: Path, run_tool: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Checkpoint of configs/smoke.py after an epoch on the labelled clips."""
    folder = tmp_path_factory.mktemp('pretrained')
    options = [f'{name}_dataloader.dataset.data_root={labelled}' for name in ('train', 'val')]
    run_tool(
        'tools/train.py',
        ROOT / 'configs' / 'smoke.py',
        '--cfg-options',
        *options,
        'train_dataloader.dataset.data_prefix.video=videos_train',
        'val_dataloader.dataset.data_prefix.video=videos_val',
        'train_cfg.max_epochs=1',
        folder=folder,
    )
    return folder / 'work_dirs' / 'smoke' / 'epoch_1.pth'


@pytest.fixture
def config(tiny_config: Callable[..., Config], pretrained: Path, tmp_path: Path) -> Path:
    """Fine-tuning from that checkpoint, masked at first; small enough to overfit."""
    cfg = tiny_config(pretrained)
    cfg.default_hooks.mask_annealing = dict(type='mmmae_st.MaskAnnealingHook', ratio=0.5)
    cfg.optim_wrapper.optimizer.lr = 3e-3
    cfg.train_cfg.update(max_epochs=6, val_interval=6)
    cfg.param_scheduler[0].update(T_max=6, end=6)
    path = tmp_path / 'finetune.py'
    cfg.dump(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize('processes', [1, 2])
def test_from_pretraining_to_accuracy(processes, config, pretrained, run_tool, tmp_path):
    trained, tested = tmp_path / 'work_dirs' / 'finetune', tmp_path / 'tested'
    checkpoint = trained / 'epoch_6.pth'
    if processes == 1:
        run_tool('tools/train.py', config, '--amp', folder=tmp_path)
    else:
        run = runs.start(config, trained, world_size=2, cwd=tmp_path)
        assert run.wait() == [0, 0], run.output()
    log = log_of(trained)
    assert f'SpacetimeViT loads {pretrained}' in log
    assert '32 matched, 0 reshaped, 0 missing, 0 unexpected, 0 misfits, 23 left out' in log
    assert 'Layer decay 0.65, 2 blocks' in log
    assert 'Epoch 1 removed 50.0% of the patches' in log
    assert accuracy(log) >= 0.8  # six videos of three colours

    options = ('--work-dir', tested)
    if processes == 1:
        run_tool('tools/test.py', config, checkpoint, '--amp', *options, folder=tmp_path)
    else:
        command = [ROOT / 'tools/dist_test.sh', config, checkpoint, '2', *options]
        env = os.environ | dict(
            PYTHONPATH=str(ROOT), PYTHON=sys.executable, OMP_NUM_THREADS='1', PORT=runs.free_port()
        )
        subprocess.run(command, cwd=tmp_path, env=env, check=True)
    assert accuracy(log_of(tested)) >= 0.8


@pytest.mark.slow
def test_a_pretraining_checkpoint_cannot_be_tested(config, pretrained, run_tool, tmp_path):
    with pytest.raises(SystemExit, match='(?s)is no checkpoint of .* has to be fine-tuned first'):
        run_tool('tools/test.py', config, pretrained, folder=tmp_path)


@pytest.mark.slow
def test_another_number_of_classes_is_named(tiny_config, run_tool, tmp_path):
    cfg = tiny_config()
    torch.manual_seed(0)
    model = MODELS.build(dict(cfg.model, _scope_='mmaction'))
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'model.pth')
    cfg.model.cls_head.num_classes = 4
    for augment in cfg.model.data_preprocessor.blending.augments:
        augment.num_classes = 4
    cfg.dump(tmp_path / 'finetune.py')
    with pytest.raises(SystemExit, match=r'size mismatch for cls_head.*3.*4') as caught:
        run_tool('tools/test.py', tmp_path / 'finetune.py', tmp_path / 'model.pth', folder=tmp_path)
    assert 'has to be fine-tuned' not in str(caught.value)


@pytest.mark.slow
def test_labels_that_are_no_classes_stop_training_and_testing(tiny_config, run_tool, tmp_path):
    cfg = tiny_config()
    folder = Path(cfg.train_dataloader.dataset.data_root)
    cfg.train_dataloader.batch_size = 1
    (tmp_path / 'list.txt').write_text('0.mp4 1\n\n1.mp4 2\n2.mp4 3\n')
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        prefix = folder / loader.dataset.data_prefix.video
        loader.dataset.update(ann_file=str(tmp_path / 'list.txt'), data_root='')
        loader.dataset.data_prefix.video = str(prefix)
    cfg.dump(tmp_path / 'finetune.py')
    message = r'list\.txt, line 4: the label 3 of .*2\.mp4 is no class .*0 to 2; .* start at 1'
    with pytest.raises(SystemExit, match=message):
        run_tool('tools/train.py', tmp_path / 'finetune.py', folder=tmp_path)
    with pytest.raises(SystemExit, match=message):
        run_tool('tools/test.py', tmp_path / 'finetune.py', 'none.pth', folder=tmp_path)


@pytest.mark.slow
def test_a_list_that_is_not_there_is_one_line(tiny_config, run_tool, tmp_path):
    cfg = tiny_config()
    cfg.train_dataloader.dataset.ann_file = 'none.txt'
    cfg.dump(tmp_path / 'finetune.py')
    with pytest.raises(SystemExit, match=r"^train.py: error: .*none.txt' is not a file$"):
        run_tool('tools/train.py', tmp_path / 'finetune.py', folder=tmp_path)


@pytest.mark.slow
def test_frozen_evaluation_of_the_pretraining_checkpoint(labelled, pretrained, run_tool, tmp_path):
    cfg = tiny_frozen_config(labelled)
    cfg.dump(tmp_path / 'frozen.py')
    command = ('tools/frozen_eval.py', tmp_path / 'frozen.py', pretrained)
    run_tool(*command, 'knn', 'linear', 'attentive', folder=tmp_path)
    work_dir = tmp_path / 'work_dirs' / 'frozen_frozen'
    log = (work_dir / 'frozen_eval.log').read_text()
    rows = re.findall(r'^(k-NN|linear probe|attentive probe) .* (\d+\.\d+) +(\d+\.\d+)$', log, re.M)
    assert [row[0] for row in rows] == ['k-NN'] * 2 + ['linear probe'] * 4 + ['attentive probe'] * 3
    assert float(rows[0][1]) >= 80  # colours are easy

    caches = sorted(work_dir.glob('features/*/values.npy'))
    assert {np.load(path).shape[:2] for path in caches} == {(12, 3), (6, 3)}
    written = [path.stat().st_mtime_ns for path in caches]
    cfg.attentive.num_heads = 5  # what is not asked for need not fit
    cfg.dump(tmp_path / 'frozen.py')
    run_tool(*command, 'knn', folder=tmp_path)
    with pytest.raises(SystemExit, match='num_heads must divide the width 32'):
        run_tool(*command, 'attentive', folder=tmp_path)
    assert len(written) == 4 and [path.stat().st_mtime_ns for path in caches] == written


@pytest.mark.slow
def test_demo_names_an_action_and_draws_it(tiny_config, labelled, run_tool, tmp_path, capsys):
    from PIL import Image

    cfg = tiny_config()
    config, checkpoint = tmp_path / 'finetune.py', tmp_path / 'model.pth'
    cfg.dump(config)
    torch.manual_seed(0)
    model = MODELS.build(dict(cfg.model, _scope_='mmaction'))
    torch.save(dict(state_dict=model.state_dict()), checkpoint)
    labels, out = tmp_path / 'labels.txt', tmp_path / 'picture.png'
    labels.write_text('red\ngreen\nblue\n')
    command = ('demo/inference.py', labelled / 'videos_val' / '0.mp4', config, checkpoint)
    run_tool(*command, '--labels', labels, '--out', out, folder=tmp_path)
    found = re.findall(r'^ *(\d+\.\d+)%  (red|green|blue)$', capsys.readouterr().out, re.M)
    assert {name for _, name in found} == {'red', 'green', 'blue'}
    values = [float(value) for value, _ in found]
    assert values == sorted(values, reverse=True) and sum(values) == pytest.approx(100, abs=0.05)
    picture = np.asarray(Image.open(out).convert('RGB'))
    assert picture.shape[1] >= 1000 and len(np.unique(picture.reshape(-1, 3), axis=0)) > 100

    labels.write_text('red\n')
    with pytest.raises(SystemExit, match='1 names, the model 3 classes'):
        run_tool(*command, '--labels', labels, folder=tmp_path)
    broken = tmp_path / 'broken.mp4'
    broken.touch()
    with pytest.raises(SystemExit, match='cannot read .*broken.mp4'):
        run_tool(command[0], broken, *command[2:], folder=tmp_path)
    torch.save(dict(state_dict=dict(a=torch.ones(1))), checkpoint)
    with pytest.raises(SystemExit, match='no checkpoint of the recogniser.* has to be fine-tuned'):
        run_tool(*command, folder=tmp_path)
