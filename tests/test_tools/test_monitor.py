"""Checkpoints of a run, measured without labels."""

import json
import re

import pytest
from PIL import Image
from support.tiny_checkpoint import tiny_config, write_tiny_checkpoint


@pytest.fixture(scope='module')
def run(tmp_path_factory, make_clip):
    """A work directory with two checkpoints, and eight clips."""
    folder = tmp_path_factory.mktemp('run')
    (folder / 'clips').mkdir()
    for i in range(8):
        make_clip(folder / 'clips' / f'{i}.mp4', num_frames=20)
    for epoch in (2, 10):
        write_tiny_checkpoint(folder / f'epoch_{epoch}.pth', seed=epoch)
    (folder / 'best.pth').write_bytes(b'not looked at')
    return folder


def test_checkpoints_are_ranked_and_drawn(tool, run, tmp_path, capsys):
    options = ['--dataset', f'data_root={run / "clips"}', '--num-clips', '2', '--device', 'cpu']
    files = ['--out', str(tmp_path / 'a.png'), '--json', str(tmp_path / 'a.json')]
    main = tool('analysis_tools/monitor.py').main
    main([str(run), *options, *files])
    found = json.loads((tmp_path / 'a.json').read_text())
    assert list(found) == ['epoch_2.pth', 'epoch_10.pth']
    said = capsys.readouterr().out
    assert '8 videos of a set of their own, 2 clips of each' in said
    first, second = re.findall(r'^ *(epoch_\d+\.pth) ', said, re.MULTILINE)
    assert found[first]['loss'] <= found[second]['loss']
    assert Image.open(tmp_path / 'a.png').width > 500
    main([str(run), *options, '--by', 'retrieval', '--out', str(tmp_path / 'b.png')])
    first, second = re.findall(r'^ *(epoch_\d+\.pth) ', capsys.readouterr().out, re.MULTILINE)
    assert found[first]['retrieval'] >= found[second]['retrieval']


def test_what_is_wrong_is_named(tool, run, tmp_path):
    main = tool('analysis_tools/monitor.py').main
    with pytest.raises(SystemExit, match='must hold checkpoints epoch_N'):
        main([str(tmp_path)])
    with pytest.raises(SystemExit, match='/secret/folder'):  # where the run had its videos
        main([str(run)])
    cfg = tiny_config()
    cfg.pop('train_dataloader')
    write_tiny_checkpoint(tmp_path / 'iter_5.pth', cfg)
    with pytest.raises(SystemExit, match='must say what it was trained on'):
        main([str(tmp_path)])
