"""A place for scalars and pictures that fails, beside one that does not."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.visualization import MLflowVisBackend
from mmengine.visualization.vis_backend import BaseVisBackend

from mmmae_st.engine import SafeVisualizer, visualizer

PICTURE = np.zeros((4, 4, 3), np.uint8)
_names = itertools.count()


class Backend(BaseVisBackend):
    """Notes what it is given; fails in one method."""

    def __init__(self, failing=None):
        super().__init__('')
        self.failing = failing
        self.given = []

    def _init_env(self):
        pass

    @property
    def experiment(self):
        return self

    def _take(self, method, *args):
        self.given.append((method, *args))
        if method == self.failing:
            raise ConnectionError('no server')

    def add_config(self, config):
        self._take('add_config')

    def add_image(self, name, image, step=0):
        self._take('add_image', name, step)

    def add_scalar(self, name, value, step=0):
        self._take('add_scalar', name, value, step)

    def add_scalars(self, scalar_dict, step=0, file_path=None):
        self._take('add_scalars', scalar_dict, step, file_path)

    def close(self):
        self._take('close')


@pytest.fixture
def said(monkeypatch):
    said = []
    monkeypatch.setattr(visualizer, 'print_log', lambda text, **_: said.append(text))
    return said


def make(*backends):
    return SafeVisualizer(f'safe_{next(_names)}', vis_backends=list(backends), save_dir='')


def use(shown):
    shown.add_scalars(dict(loss=1.0), 1, 'scalars.json')
    shown.add_scalar('loss', 1.0, 2)
    shown.add_image('reconstruction', PICTURE, 3)
    shown.add_image('reconstruction', PICTURE, 4)
    shown.close()


@pytest.mark.parametrize('method', ['add_image', 'add_scalar', 'add_scalars', 'close'])
def test_what_fails_is_named_once_and_left_out(said, method):
    failing, other = type('FailingBackend', (Backend,), {})(method), Backend()
    use(make(failing, other))
    use(make(alone := Backend()))
    assert other.given == alone.given and len(alone.given) == 5
    (line,) = said
    assert line.startswith(f'FailingBackend fails in {method} and is left out from here on')
    assert "ConnectionError('no server')" in line
    assert failing.given[-1][0] == method


def test_at_the_start_of_a_run_it_ends_it():
    with pytest.raises(ConnectionError):
        make(Backend('add_config')).add_config(Config())


def test_mlflow_gets_the_name_of_a_file(tmp_path):
    images = []
    backend = MLflowVisBackend(str(tmp_path))
    backend._env_initialized = True
    backend._mlflow = SimpleNamespace(log_image=lambda image, name: images.append(name))
    make(backend).add_image('reconstruction', PICTURE, 7)
    assert images == ['reconstruction_7.png']
