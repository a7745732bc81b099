"""Section 2: the training step on ready data."""

import copy
import gc
from functools import partial

import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from step_benchmark.figures import measure
from step_benchmark.others import HuggingFace, Reference
from step_benchmark.steps import Settings, Step, make_batch

from . import profiles
from .notes import Notes
from .plan import Place, Section, Task
from .syncs import count_syncs

KEPT = (
    'clips_per_second',
    'milliseconds',
    'share_of_ceiling',
    'time_over_ours',
    'peak_gib',
    'loss',
)
OTHERS = dict(reference=Reference, huggingface=HuggingFace)
PROFILED = 3  # steps


def settings(place: Place, batch: int, compiled: bool, mode: str | None = None) -> Settings:
    """Many steps on a GPU, few where only the way is tried."""
    runs, warmup = (2, 1) if place.is_tiny else (20, 5)
    batch = 2 if place.is_tiny else batch
    return Settings(
        batch, place.device, amp=True, compile=compiled and not place.is_tiny, compile_mode=mode,
        runs=runs, warmup=warmup,
    )  # fmt: skip


def make_step(cfg: Config, chosen: Settings) -> Step:
    """Our own model on a batch."""
    torch.manual_seed(0)
    with torch.device(chosen.device):  # drawing the weights on a CPU takes seconds
        model = MODELS.build(cfg.model).to(chosen.device)
    return Step(model, cfg, make_batch(model, cfg, chosen), chosen)


def time_steps(
    place: Place,
    notes: Notes,
    *,
    size: str,
    batches: tuple[int, ...],
    compiled: bool = False,
    mode: str | None = None,
    others: tuple[str, ...] = (),
    dense: bool = False,
) -> None:
    """Time our step, and others in turn with it, at several clips a step."""
    for batch in batches[:1] if place.is_tiny else batches:
        chosen = settings(place, batch, compiled, mode)
        try:
            figures = time_batch(place, notes, chosen, size, others, dense)
        except torch.OutOfMemoryError:
            notes.add(
                'left out', what=f'{place.model_name(size)}, {batch} clips: not enough memory'
            )
        else:
            note_figures(notes, figures)
        if place.device == 'cuda':
            gc.collect()
            torch.cuda.empty_cache()
        torch._dynamo.reset()  # else the next size would be compiled for all sizes


def time_batch(
    place: Place,
    notes: Notes,
    chosen: Settings,
    size: str,
    others: tuple[str, ...],
    dense: bool,
) -> dict:
    """Figures of our step, and of others in turn with it."""
    cfg = place.config(size)
    configs, steps = {'ours': cfg}, {'ours': make_step(cfg, chosen)}
    if dense:
        configs['dense'] = variant = copy.deepcopy(cfg)
        variant.model.backbone.with_mask_token = True
        variant.model.decoder.with_mask_token = False
        steps['dense'] = make_step(variant, chosen)
    for name in others:
        try:
            other = OTHERS[name](steps['ours'].model)
        except SystemExit as error:  # a package that is not there
            notes.add('left out', what=f'{name}: {error}')
            continue
        configs[name], steps[name] = cfg, Step(other, cfg, steps['ours'].batch, chosen)
    return dict(measure(place.model_name(size), configs, steps, chosen), mode=chosen.compile_mode)


def note_figures(notes: Notes, figures: dict) -> None:
    """A row for each of the things that were timed."""
    for name, row in figures['models'].items():
        row['milliseconds'] = row['seconds_per_clip'] * figures['batch'] * 1e3
        notes.add(
            'steps',
            model=figures['config'],
            clips=figures['batch'],
            what=name,
            compiled=figures['mode'] or ('yes' if figures['compiled'] else 'no'),
            **{key: row[key] for key in KEPT},
            ceiling_tflops=2 * figures['ceiling_gmacs_per_second'] / 1e3,
        )


def profile_step(place: Place, notes: Notes) -> None:
    """Where the time of a ViT-L step goes, and when the device does nothing."""
    chosen = settings(place, 64, compiled=False)
    step = make_step(place.config('l'), chosen)
    for _ in range(chosen.warmup):
        step()
    with torch.profiler.profile() as profiler:
        for _ in range(PROFILED):
            step()
        if place.device == 'cuda':
            torch.cuda.synchronize()
    note_profile(notes, profiler.events(), place.is_tiny)


def note_profile(notes: Notes, events: list, is_tiny: bool) -> None:
    """Write down what the events of some steps show."""
    kind = profiles.DeviceType.CPU if is_tiny else profiles.DeviceType.CUDA
    work = profiles.on_device(events, kind)
    notes.add(
        'idle time of the device in eager steps of ViT-L',
        idle_share=profiles.idle_share(work),
        gaps=len(profiles.find_gaps(work)),
        copies_alone_ms=profiles.unhidden_copies(work),
    )
    for row in profiles.top_kernels(work):
        notes.add('most expensive kernels of ViT-L', **row)
    longest = sorted(profiles.find_gaps(work), key=lambda gap: -gap.microseconds)[:5]
    for gap in longest:
        notes.add('longest gaps', **vars(gap))


ALL = ('reference', 'huggingface')


def _task(name: str, about: str, seconds: float, **options: object) -> Task:
    return Task(name, about, seconds, partial(time_steps, **options))


SECTION = Section(
    'step',
    'The step',
    0.38,
    (
        _task(
            'l',
            'ViT-L with 32 clips, reference and Hugging Face in turn',
            30,
            size='l',
            batches=(32,),
            others=ALL,
        ),
        _task(
            'l_compiled',
            'ViT-L compiled with 64 and 128 clips',
            60,
            size='l',
            batches=(64, 128),
            compiled=True,
        ),
        Task('profile', 'the kernels of ViT-L and the time between them', 15, profile_step),
        Task('syncs', 'what makes the host wait in iterations of tools/train.py', 20, count_syncs),
        _task(
            'b',
            'ViT-B with 32 clips, reference and Hugging Face in turn',
            20,
            size='b',
            batches=(32,),
            others=ALL,
        ),
        _task(
            'dense',
            'ViT-L with 16 clips, sparse and dense',
            20,
            size='l',
            batches=(16,),
            dense=True,
        ),
        _task('h', 'ViT-H with 64 clips', 20, size='h', batches=(64,)),
        _task('batches', 'ViT-L with 64, 128 and 256 clips', 25, size='l', batches=(64, 128, 256)),
        _task(
            'b_compiled',
            'ViT-B compiled with 64 and 256 clips',
            45,
            size='b',
            batches=(64, 256),
            compiled=True,
        ),
        _task(
            'l_graphs',
            'ViT-L with CUDA graphs',
            60,
            size='l',
            batches=(64,),
            compiled=True,
            mode='reduce-overhead',
        ),
        _task(
            'h_compiled', 'ViT-H compiled with 64 clips', 75, size='h', batches=(64,), compiled=True
        ),
    ),
)
