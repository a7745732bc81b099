"""The configs of mmaction2 and mmdet pass the check, but for those that their packages refuse."""

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from mmengine.config import Config

from mmmae_st.config import check as config_check
from mmmae_st.config import check_config

# Of packages that are not there, or not whole.
MISSING = (
    'install|mmpretrain|mmcls|MobileOne|DRN|VindLU|BeitModel3D|XBertModel|BertDecoder|'
    'lfb prefix path|modulo by zero'  # feature banks
)
# Errors in the configs of mmaction2 1.2.0 and mmdet 3.3.0: their Runner fails, too.
WRONG = (
    r'io_backend: DecordDecode|suffix: AudioDataset|test_dataloader\.(pipeline|test_mode): there|'
    'all num_classes of a model must be the same|eval_mode: CocoMetric|MOTChallengeMetrics|'
    'CascadeRPNHead needs|force_grad_on_level: FPN|must be a dict, got a tuple'
)


@pytest.mark.long
@pytest.mark.parametrize('package', ['mmaction', 'mmdet'])
def test_every_config_of_the_packages(package, monkeypatch, tmp_path):
    """Refused is what needs a package or a file that is not there, and what is wrong indeed."""
    pytest.importorskip('mmdet')
    import_module('mmmae_st.compat.mmdet')  # mends the wheel of mmaction2
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config_check, 'print_log', lambda *_, **__: None)
    folder = Path(find_spec(package).origin).parent / '.mim' / 'configs'
    files = [file for file in sorted(folder.rglob('*.py')) if '_base_' not in file.parts]
    refused = {}
    for file in files:
        try:
            cfg = Config.fromfile(file)
        except (ImportError, OSError, KeyError):
            continue  # needs a package, or a network
        try:
            check_config(cfg)
        except ValueError as error:
            refused[file.relative_to(folder)] = str(error)
    print(f'{package}: {len(files) - len(refused)} of {len(files)} pass')
    for file, text in refused.items():
        assert re.search(f'{MISSING}|{WRONG}', text), f'{file}: {text}'
