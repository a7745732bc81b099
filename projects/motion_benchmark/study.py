"""The questions of the study and the measurements that answer them, as one table."""

from dataclasses import dataclass

from .training import Pretraining

ALL = 0  # labels per class: all there are
SCRATCH = None
DEFAULT = Pretraining()


@dataclass(frozen=True)
class Question:
    """One table and one plot.

    Attributes:
        name: Key, and name of the plot's file.
        title: What is asked.
        claim: What the paper leads to expect.
    """

    name: str
    title: str
    claim: str


@dataclass(frozen=True)
class Measurement:
    """What is measured, once for each seed; equal ones are measured once for all questions.

    Attributes:
        kind: ``'finetune'``: accuracy of a classifier trained on the labels. ``'frozen'``: k-NN
            and linear probe with all labels. ``'time'``: a pretraining step, sparse and dense.
        pretraining: What the encoder comes from; None for an untrained one.
        labels: Labels per class, or ``ALL``.
        masking: Share of the patches removed at the start of fine-tuning.
        equal_compute: Train for as many multiply-adds as the default pretraining and fine-tuning.
        still: One frame of each clip in place of all.
    """

    kind: str
    pretraining: Pretraining | None
    labels: int = 20
    masking: float = 0.0
    equal_compute: bool = False
    still: bool = False


@dataclass(frozen=True)
class Entry:
    """A row of a question's table."""

    question: str
    row: str
    measurement: Measurement


QUESTIONS = (
    Question(
        'labels',
        'Pretrained or from scratch, by labels per class',
        'pretraining wins by at least 10 points with 20 labels',
    ),
    Question(
        'compute',
        'Pretrained or from scratch with equal compute, 20 labels per class',
        'a longer training from scratch does not make up for it',
    ),
    Question('frozen', 'Frozen features, all labels', 'pretrained features beat untrained ones'),
    Question(
        'control', 'One frame of each clip in place of all, all labels', 'the level of chance'
    ),
    Question('ratio', 'Mask ratio', '90 % is best or within the spread of best'),
    Question('masking', 'Mask strategy, each at its best ratio', 'random beats frame'),
    Question('dense', 'Mask tokens in the encoder or not', 'no accuracy lost, much faster'),
    Question('target', 'Target of the prediction', 'normalised pixels and HOG beat raw pixels'),
    Question('decoder', 'Decoder', 'small decoders lose several points'),
    Question('repeats', 'Clips of a video in a step, at equal effective epochs', 'no difference'),
    Question('finetune_masking', 'Masking during fine-tuning', 'nearly the same accuracy'),
)


def _finetune(question: str, row: str, **options: object) -> Entry:
    """A row that fine-tunes with 20 labels after a pretraining that differs by these options."""
    return Entry(question, row, Measurement('finetune', Pretraining(**options)))  # type: ignore[arg-type]


STUDY: tuple[Entry, ...] = (
    *(
        Entry('labels', f'{name}, {labels or "all"}', Measurement('finetune', source, labels))
        for labels in (5, 20, ALL)
        for name, source in (('from scratch', SCRATCH), ('pretrained', DEFAULT))
    ),
    Entry('compute', 'pretrained', Measurement('finetune', DEFAULT)),
    Entry('compute', 'from scratch, equal epochs', Measurement('finetune', SCRATCH)),
    Entry(
        'compute',
        'from scratch, equal compute',
        Measurement('finetune', SCRATCH, equal_compute=True),
    ),
    Entry('frozen', 'untrained', Measurement('frozen', SCRATCH)),
    Entry('frozen', 'pretrained', Measurement('frozen', DEFAULT)),
    Entry('frozen', 'pretrained, 90 %', Measurement('frozen', Pretraining(ratio=0.9))),
    Entry('control', 'one frame, from scratch', Measurement('finetune', SCRATCH, ALL, still=True)),
    Entry('control', 'one frame, pretrained', Measurement('finetune', DEFAULT, ALL, still=True)),
    *(
        _finetune('ratio', f'{ratio:.0%}'.replace('%', ' %'), ratio=ratio)
        for ratio in (0.5, 0.75, 0.9, 0.95)
    ),
    _finetune('masking', 'random, 75 %'),
    _finetune('masking', 'random, 90 %', ratio=0.9),
    _finetune('masking', 'tube, 90 %', masking='tube', ratio=0.9),
    _finetune('masking', 'frame, 75 %', masking='frame', ratio=0.75),
    _finetune('masking', 'block, 75 %', masking='block', ratio=0.75),
    _finetune('dense', 'sparse'),
    _finetune('dense', 'dense', dense=True),
    *(
        Entry('dense', f'time of a step, {name}', Measurement('time', Pretraining(ratio=ratio)))
        for name, ratio in (('75 %', 0.75), ('90 %', 0.9))
    ),
    _finetune('target', 'normalised pixels', target='normalized_pixels'),
    _finetune('target', 'raw pixels'),
    _finetune('target', 'HOG', target='hog'),
    _finetune('decoder', '1 block', decoder_depth=1),
    _finetune('decoder', '2 blocks'),
    _finetune('decoder', '4 blocks', decoder_depth=4),
    _finetune('decoder', 'a quarter as wide', decoder_width=0.25),
    _finetune('decoder', 'half as wide', decoder_width=0.5),
    _finetune('decoder', 'twice as wide', decoder_width=2.0),
    _finetune('repeats', '1'),
    _finetune('repeats', '2', repeats=2),
    _finetune('repeats', '4', repeats=4),
    Entry('finetune_masking', 'none', Measurement('finetune', DEFAULT)),
    Entry('finetune_masking', 'from 50 %', Measurement('finetune', DEFAULT, masking=0.5)),
    Entry('finetune_masking', 'from 75 %', Measurement('finetune', DEFAULT, masking=0.75)),
)
