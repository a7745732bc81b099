"""What newcomers give to ``mmmae_st``: each mistake is one line, which names the value."""

import errno
import pickle
from pathlib import Path

import pytest
import torch
from support.tiny_checkpoint import tiny_config, write_tiny_checkpoint

from mmmae_st.engine.runner.ending import one_cause
from mmmae_st.fileio.atomic_file import require_writable
from mmmae_st.models.weights import load_pretrained, write_checkpoint
from mmmae_st.registry import MODELS


@pytest.fixture(scope='module')
def files(tmp_path_factory, clips):
    """A folder with what is right and what is wrong."""
    folder = tmp_path_factory.mktemp('files')
    for name in ('clips', 'empty', 'texts', 'folder.pth'):
        (folder / name).mkdir()
    (folder / 'clips/a.mp4').symlink_to(clips['short'])
    (folder / 'texts/a.mp4').write_text('text')
    (folder / 'text.txt').write_text('text\n')
    (folder / 'page.pth').write_text('\n<!DOCTYPE html><html></html>')
    (folder / 'bad.py').write_text('model = dict(\n')
    (folder / 'bad.json').write_text('{}')
    cfg = tiny_config()
    cfg.train_dataloader.dataset.data_root = str(folder / 'clips')
    cfg.dump(folder / 'tiny.py')
    write_tiny_checkpoint(folder / 'good.pth', cfg)
    write_tiny_checkpoint(folder / 'epoch_1.pth', cfg)
    (folder / 'cut.pth').write_bytes((folder / 'good.pth').read_bytes()[:9000])
    torch.save({'a': 1}, folder / 'dict.pth')
    (folder / 'pickle.pth').write_bytes(pickle.dumps({'a': Path('x')}, protocol=4))
    return folder


USAGE = {  # of argparse: the line comes on the standard error, the code is 2
    'convert {}/good.pth': 'arguments are required: OUT; see mmmae_st convert --help',
    'info --nope': 'unrecognized arguments: --nope',
    'reconstruct {}/good.pth {}/clips --masks foo': "invalid choice: 'foo' (choose from 'random'",
    'features {}/good.pth {}/clips --views 0': '--views: must be at least 1, got 0',
    'features {}/good.pth {}/clips --stride nan': '--stride: must be above 0, got nan',
    'features {}/good.pth {}/clips --workers x': "must be an integer at least 0, got 'x'",
    'reconstruct {}/good.pth {}/clips --fps 0': '--fps: must be at least 1, got 0',
    'extract-frames {}/clips out --quality 101': 'must be at least 1 and at most 100, got 101',
    'check {}/clips --timeout 0': '--timeout: must be above 0, got 0',
    'masks {}/clips/a.mp4 --tile 0': '--tile: must be at least 1, got 0',
    'monitor {} --num-clips 1': '--num-clips: must be at least 2, got 1',
    'plan {}/tiny.py --num-videos -5': '--num-videos: must be at least 1, got -5',
    'print-config {}/tiny.py --cfg-options model': "takes KEY=VALUE, got 'model'",
    'verify --only gpux': "invalid choice: 'gpux' (choose from 'core'",
    'list plain {}/clips': 'the following arguments are required: --out',
}
ERRORS = {
    'features {}/none.pth {}/clips': 'checkpoint {}/none.pth does not exist',
    'features {}/folder.pth {}/clips': 'checkpoint {}/folder.pth is a folder',
    'features {}/page.pth {}/clips': 'checkpoint {}/page.pth is a web page',
    'features {}/cut.pth {}/clips': 'checkpoint {}/cut.pth is damaged',
    'features {}/text.txt {}/clips': 'no PyTorch file',
    'features {}/good.pth {}/texts --workers 0': 'none of 1 videos can be read, the first: {}',
    'features {}/good.pth {}/texts --stride 8': 'none of 1 videos can be read, the first: {}',
    'features {}/good.pth {}/clips --device gpu': "device must be 'cpu', 'cuda' or",
    'features {}/good.pth {}/clips --out {}/empty': '{}/empty is a folder: name a file',
    'features {}/good.pth {}/clips --out {}/text.txt/x': '{}/text.txt is no folder',
    'features {}/good.pth {}/clips --stride 8 --out {}/text.txt': '{}/text.txt is no folder',
    'info {}/dict.pth': 'holds no parameters',
    'info {}/pickle.pth': 'checkpoint {}/pickle.pth was refused',
    'info {}/bad.py': "config {}/bad.py cannot be read: '(' was never closed (line 1)",
    'convert {}/good.pth {}/empty': '{}/empty is a folder',
    'export {}/good.pth {}/text.txt/o.pt2': '{}/text.txt is no folder',
    'list plain {}/clips --out {}/empty': '{}/empty is a folder',
    'check {}/clips --good-list {}/text.txt/x': '{}/text.txt is no folder',
    'prepare {}/clips out --quality 32': '--quality of mpeg4 must be at most 31, got 32',
    'prepare {}/clips {}/text.txt/x': '{}/text.txt is no folder',
    'extract-frames {}/clips {}/text.txt': '{}/text.txt is no folder',
    'make-clips {}/text.txt': '{}/text.txt is no folder',
    'make-clips out --num-clips 1 --height 3': 'height must be even and at least 16, got 3',
    'plan mae_st_vitb_k400 --step {}/bad.json': "{}/bad.json holds no 'models'",
    'plot-schedules {}/tiny.py --out {}/empty': '{}/empty is a folder',
    'benchmark-step {}/tiny.py': 'must be of a training, with optim_wrapper',
    'benchmark-step {}/tiny.py --device gpu': "device must be 'cpu', 'cuda' or",
    'masks {}/clips/a.mp4 --out x.foo': "ends in .png, got 'x.foo'",
    'masks {}/clips/a.mp4 --kinds random --ratios 2': 'masks can be drawn: random 200',
    'attention {}/good.pth {}/clips/a.mp4 --device gpu': "device must be 'cpu', 'cuda' or",
    'monitor {} --dataset foo=1': "unexpected keyword argument 'foo'",
    'train {}/tiny.py': 'the config has an error: train_dataloader.sampler: must be',
    'train quickstart --work-dir {}/text.txt': '{}/text.txt is no folder',
}


@pytest.mark.parametrize('line', USAGE)
def test_a_wrong_option_is_one_line(call, files, line):
    code, told = call(*line.format(*[files] * 3).split())
    assert code == 2 and told.count('\n') == 1
    assert told.startswith(f'mmmae_st {line.split()[0]}') and USAGE[line] in told


@pytest.mark.parametrize('line', ERRORS)
def test_a_wrong_value_is_one_line(call, files, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _ = call(*line.format(*[files] * 4).split())
    assert isinstance(code, str) and '\n' not in code
    assert code.startswith(f'mmmae_st {line.split()[0]}: error: ')
    assert ERRORS[line].format(*[files] * 2) in code
    assert not list(tmp_path.glob('*.npz'))


def test_help_names_the_command_not_the_file(call):
    assert '  mmmae_st features CHECKPOINT list.txt' in call('features', '--help')[1]
    assert '    mmmae_st convert IN OUT --to timm ' in call('convert', '--help')[1]


def test_weights_of_another_size_are_one_line(files):
    cfg = tiny_config()
    cfg.model.backbone.arch.embed_dims = 48
    with pytest.raises(ValueError, match='embed_dims is 48 but the file needs 32') as refused:
        load_pretrained(MODELS.build(cfg.model.backbone), files / 'good.pth')
    assert '\n' not in str(refused.value)


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_a_full_disk_is_an_error_of_the_disk(tmp_path, monkeypatch, suffix):
    def full(self, content):
        self.touch()
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(Path, 'write_bytes', full)
    with pytest.raises(OSError, match='No space left'):
        write_checkpoint(tmp_path / f'a{suffix}', dict(a=torch.zeros(3)))
    assert not list(tmp_path.iterdir())


def test_whether_a_file_can_be_written_is_known_before(tmp_path):
    (tmp_path / 'a').write_text('kept')
    require_writable(tmp_path / 'a')
    require_writable(tmp_path / 'new' / 'b')
    assert (tmp_path / 'a').read_text() == 'kept' and not list(tmp_path.glob('new/*'))


def test_a_checkpoint_that_does_not_fit_ends_a_run_in_one_line(files, capsys):
    with pytest.raises(SystemExit, match='1'), one_cause():
        load_pretrained(MODELS.build(tiny_config().model.backbone), files / 'page.pth')
    printed = capsys.readouterr()
    assert printed.err.count('\n') == 1 and 'is a web page' in printed.err and not printed.out
