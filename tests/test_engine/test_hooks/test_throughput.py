import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub

from mmmae_st.engine import ThroughputHook


class Log:
    def __init__(self):
        self.infos, self.warnings = [], []

    def info(self, text):
        self.infos.append(text)

    def warning(self, text):
        self.warnings.append(text)


def loader(videos=80, sampled=80, drop_last=False):
    """Ten batches of eight videos."""
    kind = type('Loader', (SimpleNamespace,), dict(__len__=lambda self: 10))
    size = dict(batch_size=8, dataset=[0] * videos, sampler=[0] * sampled)
    return kind(num_workers=3, drop_last=drop_last, **size)


def run(hook, waiting, steps, name, **data):
    hub = MessageHub.get_instance(name)
    runner = SimpleNamespace(
        message_hub=hub,
        logger=Log(),
        optim_wrapper=SimpleNamespace(_accumulative_counts=2),
        max_iters=2000,
        iter=0,
    )
    runner.train_dataloader = loader(**data)
    batch = dict(inputs=[torch.zeros(4, 1)] * 8)
    hook.before_train(runner)
    for step in range(steps):
        runner.iter = step
        hub.update_scalar('train/time', 0.5)
        hub.update_scalar('train/data_time', waiting)
        hook.after_train_iter(runner, step, batch)
    return runner


def test_effective_epochs_and_clips_are_counted():
    runner = run(ThroughputHook(), 0.0, 10, 'counted')
    hub = runner.message_hub
    assert hub.get_scalar('train/effective_epoch').current() == pytest.approx(4.0)
    assert hub.get_scalar('train/clips_per_second').current() == pytest.approx(32 / 0.5)
    (text,) = runner.logger.infos
    assert '16 videos' in text and '64 clips' in text and '800 effective epochs' in text


@pytest.mark.parametrize(
    ('data', 'effective', 'said'),
    [
        (dict(videos=64), 5.0, '1000 effective epochs'),  # 16 of 64 videos come again
        (dict(videos=83, sampled=83, drop_last=True), 4 * 80 / 83, '771 effective'),  # 3 left out
        (dict(videos=76, sampled=76), 4.0, '800 effective epochs'),  # the last batch is smaller
    ],
)
def test_effective_epochs_count_what_comes_again_or_is_left_out(data, effective, said):
    runner = run(ThroughputHook(), 0.0, 10, f'again_{effective}', **data)
    found = runner.message_hub.get_scalar('train/effective_epoch').current()
    assert found == pytest.approx(effective)
    assert said in runner.logger.infos[0]


def test_starving_warns_once_and_says_what_to_try():
    runner = run(ThroughputHook(max_data_share=0.3, patience=5), 0.4, 30, 'starving')
    (text,) = runner.logger.warnings
    assert '80%' in text and 'num_workers=3' in text
    tools = re.findall(r'tools/\S+\.py', text)
    assert 'tools/analysis_tools/plan_run.py' in tools
    assert all((Path(__file__).parents[3] / tool).is_file() for tool in tools)


def test_a_fed_device_is_not_warned_about():
    assert not run(ThroughputHook(patience=5), 0.1, 30, 'fed').logger.warnings


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match='max_data_share'):
        ThroughputHook(max_data_share=0.0)
    with pytest.raises(ValueError, match='patience'):
        ThroughputHook(patience=0)
