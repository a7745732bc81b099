"""Section 1: does it work."""

import shutil
from functools import partial
from pathlib import Path

import torch

from . import numerics, runs
from .notes import Notes
from .plan import CONFIGS, Place, Section, Task

SMOKE = CONFIGS / 'smoke.py'
SHARDED = CONFIGS / 'mae_st_vith_k400_fsdp.py'
LIMIT = 60.0  # seconds of one run


def check_resume(place: Place, notes: Notes) -> None:
    """Train, killed and resumed, against a run that was not."""
    config = runs.write_config(
        place.folder / 'resume.py', SMOKE, runs.small_videos(place), place, epochs=3, save_every=2
    )
    whole, killed = place.folder / 'whole', place.folder / 'killed'
    runs.train(config, whole, LIMIT, '--amp')
    last = Path((whole / 'last_checkpoint').read_text()).name
    rows = runs.scalars(whole)
    notes.add('training', run='tools/train.py --amp', steps=len(rows), loss=rows[-1]['loss'])
    for picture in sorted(whole.glob('*/vis_data/vis_image/*.png'))[-1:]:
        shutil.copy(picture, place.out / 'reconstruction.png')
        notes.add('training', run='reconstruction.png', steps=len(rows))

    if runs.train(config, killed, LIMIT, '--amp', until=partial(has_begun, killed)) != 'stopped':
        raise RuntimeError('the run was over before it could be killed')
    runs.train(config, killed, LIMIT, '--amp', '--resume')
    ours, theirs = (
        torch.load(folder / last, weights_only=True, map_location='cpu')['state_dict']
        for folder in (killed, whole)
    )
    difference = max(float((ours[k].double() - theirs[k].double()).abs().max()) for k in theirs)
    notes.add('training', run='killed and resumed: largest difference of a weight', loss=difference)
    notes.check('killed and resumed: weights', difference, 1e-3)


def has_begun(work_dir: Path) -> bool:
    """Whether some steps have been made."""
    return any(int(path.stem.split('_')[1]) > 2 for path in work_dir.glob('iter_*.pth'))


def check_distributed(place: Place, notes: Notes, *, sharded: bool) -> None:
    """tools/dist_train.sh with one process; with FSDP as the config for ViT-H has it, but small."""
    name = 'sharded' if sharded else 'distributed'
    base = SMOKE
    if sharded:
        base = place.folder / 'sharded_base.py'
        base.write_text(SHARDED.read_text().replace("'./mae_st_vith_k400.py'", repr(str(SMOKE))))
    config = runs.write_config(place.folder / f'{name}.py', base, runs.small_videos(place), place)
    runs.dist_train(config, place.folder / name, *([] if sharded else ['--amp']))
    rows = runs.scalars(place.folder / name)
    run = 'FSDP, 1 process' if sharded else 'tools/dist_train.sh, 1 process'
    notes.add('training', run=run, steps=len(rows), loss=rows[-1]['loss'])


SECTION = Section(
    'works',
    'Does it work',
    0.2,
    (
        Task(
            'numerics',
            'ViT-B against the CPU, bfloat16, checkpointing',
            20,
            numerics.check_numerics,
        ),
        Task('resume', 'tools/train.py --amp, killed and resumed', 25, check_resume),
        Task('encoder', 'the encoder of recognition and detection', 8, numerics.check_encoder),
        Task(
            'distributed',
            'tools/dist_train.sh with one process',
            15,
            partial(check_distributed, sharded=False),
        ),
        Task(
            'variants', 'dense, all targets, all masks against the CPU', 15, numerics.check_variants
        ),
        Task('sharded', 'FSDP with one process', 15, partial(check_distributed, sharded=True)),
        Task('compiled', 'torch.compile in one graph against eager', 25, numerics.check_compiled),
    ),
)
