import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from mmengine.fileio import dump, load
from mmengine.fileio.handlers import registry_utils

from mmmae_st.fileio.array_pickle import use_array_pickles


@pytest.fixture(autouse=True)
def restricted(monkeypatch):
    handlers = dict(registry_utils.file_handlers)
    monkeypatch.setattr(registry_utils, 'file_handlers', handlers)
    monkeypatch.setattr('mmengine.fileio.io.file_handlers', handlers)
    use_array_pickles()


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_boxes_are_read_whatever_the_protocol(tmp_path, protocol):
    boxes = {
        'video,0902': np.array([[0.1, 0.2, 0.6, 0.9, 0.99]]),
        'video,0903': np.zeros((0, 4), np.float32),
        'score': np.float64(0.5),
        'names': OrderedDict(a=[1, None, 'b', b'c', (True, 2.5)]),
    }
    path = tmp_path / 'boxes.pkl'
    path.write_bytes(pickle.dumps(boxes, protocol))
    found = load(path)
    assert found.keys() == boxes.keys()
    for key, value in boxes.items():
        np.testing.assert_equal(found[key], value)
        assert type(found[key]) is type(value)


def test_a_file_written_before_numpy_2_is_read(tmp_path):
    content = pickle.dumps(np.arange(3.0), 2)
    assert b'numpy._core.multiarray' in content or b'numpy.core.multiarray' in content
    old = content.replace(b'numpy._core.multiarray', b'numpy.core.multiarray')
    (tmp_path / 'old.pkl').write_bytes(old)
    np.testing.assert_equal(load(tmp_path / 'old.pkl'), np.arange(3.0))


@pytest.mark.parametrize(
    'function, arguments, name',
    [
        (os.system, ('touch ran',), r'(posix|nt)\.system'),
        (eval, ("open('ran', 'w')",), r'builtins\.eval'),
        (getattr, ('x', 'upper'), r'builtins\.getattr'),
        (Path, ('ran',), r'pathlib\.Path'),
        (np.fromfile, ('ran',), r'numpy.*\.fromfile'),
    ],
)
def test_what_could_run_code_is_refused_by_name(tmp_path, monkeypatch, function, arguments, name):
    class Runs:
        def __reduce__(self):
            return function, arguments

    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'boxes.pkl'
    path.write_bytes(pickle.dumps({'video,0902': Runs()}))
    with pytest.raises(ValueError, match=f'refused: to read it, {name} would'):
        load(path)
    assert not (tmp_path / 'ran').exists()


def test_writing_is_as_it_was(tmp_path):
    dump(dict(a=np.arange(3)), tmp_path / 'a.pkl')
    np.testing.assert_equal(load(tmp_path / 'a.pkl'), dict(a=np.arange(3)))
