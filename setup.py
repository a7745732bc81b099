"""Packaging of mmmae_st. Nothing here imports the package, so torch is not needed to build."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent


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


setup(
    name='mmmae_st',
    version=read_version(),
    description='Masked Autoencoders As Spatiotemporal Learners on MMEngine',
    long_description=(ROOT / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    packages=find_packages(include=['mmmae_st', 'mmmae_st.*']),
    # Configs, tools and the model index, where mmengine and mim look for them; the checkout has
    # links in that folder.
    package_data={'mmmae_st': ['.mim/**/*']},
    exclude_package_data={
        'mmmae_st': ['*/__pycache__/*', '*/analysis_tools/loader_benchmark/*', '*/references/*']
    },
    python_requires='>=3.10',
    install_requires=read_requirements('runtime'),
    # mmcv and mmcv-lite provide the same module and must not be installed together; no version of
    # a requirement can say that, so one of the extras 'lite' and 'detection' brings it.
    extras_require={
        name: read_requirements(name)
        for name in (
            *('lite', 'finetune', 'detection', 'export', 'transformers', 'decord'),
            *('docs', 'tests'),
        )
    },
    entry_points={'console_scripts': ['mmmae_st = mmmae_st.__main__:main']},
    zip_safe=False,
    classifiers=[
        'Intended Audience :: Science/Research',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Programming Language :: Python :: 3.14',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
)
