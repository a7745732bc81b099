"""The documentation does what it says: its Python runs, its commands and links exist."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*(ROOT / 'docs').glob('*.md'), *ROOT.glob('*.md'), *(ROOT / 'projects').rglob('*.md')]
)
FENCE = re.compile(r'^ *```(\w+)\n(.*?)^ *```', re.MULTILINE | re.DOTALL)


def blocks(page, *languages):
    return [code for kind, code in FENCE.findall(page.read_text()) if kind in languages]


@pytest.mark.parametrize('page', PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_inside_the_repository_lead_somewhere(page):
    text = FENCE.sub('', page.read_text())
    for target in re.findall(r'\]\(([^)\s]+)\)|src="([^"]+)"', text):
        path = (target[0] or target[1]).split('#')[0]
        if path and '://' not in path and not path.startswith('mailto:'):
            assert (page.parent / path).exists(), f'{page.name} links to {path}'


@pytest.mark.parametrize('page', PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_named_in_the_text_exist(page):
    text = page.read_text()
    for name in re.findall(r'\b(?:configs|tools|mmmae_st|demo|projects|docs)/[\w./-]*\w', text):
        if name.startswith('projects/my_'):
            continue
        found = (ROOT / name).exists() or (page.parent / name).exists()
        assert found, f'{page.name} names {name}'


def commands():
    """Each `python FILE ...` of the docs with the options that it gives."""
    found = set()
    for page in PAGES:
        for code in blocks(page, 'bash', 'text'):
            for line in code.replace('\\\n', ' ').splitlines():
                match = re.match(r' *python ((?:tools|demo|projects)/\S+\.py)(.*)', line)
                if match:
                    options = re.findall(r' (--[\w-]+)', match[2].split('#')[0])
                    found |= {(match[1], option) for option in options} | {(match[1], '--help')}
    return sorted(found)


def test_options_named_in_the_docs_exist():
    wanted = {}
    for script, option in commands():
        wanted.setdefault(script, set()).add(option)
    for script, options in wanted.items():
        result = subprocess.run(
            [sys.executable, ROOT / script, '--help'],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={'PYTHONPATH': str(ROOT), 'PATH': '/usr/bin:/bin'},
        )
        assert result.returncode == 0, f'{script}: {result.stderr}'
        missing = {option for option in options if option not in result.stdout}
        assert not missing, f'{script} has no {missing}'


def test_extension_examples_work_as_written(tmp_path, make_clip):
    scope = {}
    for code in blocks(ROOT / 'docs/extend.md', 'python'):
        assert len([line for line in code.splitlines() if line.strip()]) < 30
        exec(compile(code, 'extend.md', 'exec'), scope)

    masking = scope['CheckerboardMasking'](ratio=0.5)
    ids = masking.draw((2, 4, 4), np.random.default_rng(0))
    assert len(ids) == 16 and len(np.intersect1d(ids, ids + 1)) < 16

    head = scope['MeanColourHead'](8, patch_size=8)
    video = torch.rand(1, 3, 4, 16, 16)
    target = head.make_target(video, torch.tensor([[3]]))
    torch.testing.assert_close(target[0, 0], video[0, :, 0, 8:, 8:].mean(dim=(1, 2)))
    loss = head.loss(head(torch.randn(1, 1, 8)), video, torch.tensor([[3]]))
    assert torch.isfinite(loss).all()

    make_clip(tmp_path / 'a.mp4', num_frames=4)
    (tmp_path / 'list.json').write_text('[{"file": "a.mp4", "class": 2}]')
    dataset = scope['JsonVideoDataset'](
        ann_file='list.json',
        data_root=str(tmp_path),
        pipeline=[
            dict(type='mmmae_st.LoadClips', clip_len=4, frame_interval=1),
            dict(type='mmmae_st.PackClips'),
        ],
    )
    assert dataset[0]['data_samples'].label == 2
