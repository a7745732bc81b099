"""Packaging of mmmae_st. Nothing here imports the package, so torch is not needed to build."""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
MIM_PARTS = ('configs', 'tools', 'model-index.yml')


class BuildPy(build_py):
    """Adds to a wheel what mmengine and mim look for.

    ``mmmae_st/.mim`` holds configs, tools and the model index, as in every OpenMMLab package; in a
    checkout links stand there. ``_mmmae_st_hub`` is a copy of ``mmmae_st/compat/hub.py`` which the
    ``.pth`` file installs at start-up, because mmengine knows other packages by a fixed list.
    """

    def run(self) -> None:
        """Build, then add the files; an editable install uses the checkout's own."""
        super().run()
        if self.editable_mode:
            return
        root = Path(self.build_lib)
        mim = root / 'mmmae_st' / '.mim'
        shutil.rmtree(mim, ignore_errors=True)
        mim.mkdir(parents=True)
        for part in MIM_PARTS:
            source = ROOT / part
            if source.is_dir():
                ignore = shutil.ignore_patterns('__pycache__', '.*')
                shutil.copytree(source, mim / part, ignore=ignore)
            else:
                shutil.copy(source, mim / part)
        shutil.copy(ROOT / 'mmmae_st' / 'compat' / 'hub.py', root / '_mmmae_st_hub.py')
        (root / '_mmmae_st_hub.pth').write_text('import _mmmae_st_hub; _mmmae_st_hub.install()\n')


def read_version() -> str:
    """``__version__`` of mmmae_st/version.py."""
    scope: dict[str, str] = {}
    exec((ROOT / 'mmmae_st' / 'version.py').read_text(), scope)
    return scope['__version__']


def read_requirements(name: str) -> list[str]:
    """Requirement lines of requirements/<name>.in, without comments and file references."""
    lines = (ROOT / 'requirements' / f'{name}.in').read_text().splitlines()
    lines = [line.split('#')[0].strip() for line in lines]
    return [line for line in lines if line and not line.startswith('-')]


readme = ROOT / 'README.md'
setup(
    name='mmmae_st',
    version=read_version(),
    description='Masked Autoencoders As Spatiotemporal Learners on MMEngine',
    long_description=readme.read_text() if readme.exists() else '',
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    packages=find_packages(include=['mmmae_st', 'mmmae_st.*']),
    python_requires='>=3.10',
    install_requires=read_requirements('runtime'),
    # mmcv and mmcv-lite provide the same module and must not be installed together; no version of
    # a requirement can say that, so one of the extras 'lite' and 'detection' brings it.
    extras_require={
        name: read_requirements(name)
        for name in ('lite', 'finetune', 'detection', 'export', 'tests')
    },
    cmdclass={'build_py': BuildPy},
    zip_safe=False,
    classifiers=[
        'Intended Audience :: Science/Research',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
)
