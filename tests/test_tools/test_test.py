"""What tools/test.py makes of its command line."""

import sys

import pytest
from mmengine.config import Config

METRIC = dict(type='ReconstructionLoss')


@pytest.mark.parametrize('evaluator', [METRIC, [METRIC]])
def test_predictions_are_dumped_beside_the_metrics(tool, tmp_path, monkeypatch, evaluator):
    test = tool('test.py')
    parts = dict(test_dataloader=dict(batch_size=1), test_cfg=dict(), test_evaluator=evaluator)
    Config(parts).dump(tmp_path / 'config.py')
    command = ['test.py', str(tmp_path / 'config.py'), 'a.pth', '--dump', 'out.pkl']
    monkeypatch.setattr(sys, 'argv', command)
    cfg = test.load_config(test.parse_args())
    assert cfg.test_evaluator == [METRIC, dict(type='DumpResults', out_file_path='out.pkl')]
