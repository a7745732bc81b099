"""The questions of the study and the measurements that answer them, as one table."""

from dataclasses import dataclass
from typing import Any

from .clips import LABEL_SETS
from .pretraining import Pretraining
from .recording import SNAPSHOTS

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
        needs_appearances: Asked only where clips have both sets of labels.
    """

    name: str
    title: str
    claim: str
    needs_appearances: bool = False


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
        label_set: What the classifier learns, one of ``LABEL_SETS``. Frozen features: all.
        at: Share of the pretraining after which it is measured: 1 or one of ``SNAPSHOTS``.
    """

    kind: str
    pretraining: Pretraining | None
    labels: int = 20
    masking: float = 0.0
    equal_compute: bool = False
    still: bool = False
    label_set: str = 'motion'
    at: float = 1.0


@dataclass(frozen=True)
class Entry:
    """A row of a question's table.

    Attributes:
        question: Name of the question.
        row: Name of the row.
        measurements: Of different kinds, so that their figures have different names.
    """

    question: str
    row: str
    measurements: tuple[Measurement, ...]


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
    Question(
        'ratio', 'Mask ratio, 5 labels per class', '90 % is best or within the spread of best'
    ),
    Question(
        'masking', 'Mask strategy, each at its best ratio, 5 labels per class', 'random beats frame'
    ),
    Question(
        'dense',
        'Mask tokens in the encoder or not, 5 labels per class',
        'no accuracy lost, much faster',
    ),
    Question(
        'target',
        'Target of the prediction, 5 labels per class',
        'normalised pixels and HOG beat raw pixels',
    ),
    Question('decoder', 'Decoder, 5 labels per class', 'small decoders lose several points'),
    Question(
        'repeats',
        'Clips of a video in a step, at equal effective epochs, 5 labels per class',
        'no difference',
    ),
    Question(
        'finetune_masking',
        'Masking during fine-tuning, 20 labels per class',
        'nearly the same accuracy',
    ),
    Question(
        'headline',
        'How things move and what they are: 20 labels per class, and frozen features',
        'pretraining beats scratch, also at equal compute; random beats frame; 90 % is best',
        needs_appearances=True,
    ),
    Question(
        'progress',
        'Frozen features along the pretraining',
        'they get better to the end',
        needs_appearances=True,
    ),
)


def _one(question: str, row: str, *measurement: Any, **options: Any) -> Entry:
    return Entry(question, row, (Measurement(*measurement, **options),))


def _compare(question: str, row: str, **options: Any) -> Entry:
    """A row for a pretraining that differs by these options from the default.

    Frozen features, and fine-tuning with so few labels that it leans on the pretraining.
    """
    source = Pretraining(**options)
    few = Measurement('finetune', source, labels=5)
    return Entry(question, row, (few, Measurement('frozen', source)))


def _headline(row: str, source: Pretraining | None, **options: Any) -> Entry:
    """A row for both sets of labels of the same clips."""
    few = (Measurement('finetune', source, label_set=s, **options) for s in LABEL_SETS)
    return Entry('headline', row, (*few, Measurement('frozen', source)))


# At 90 % none of eight slices of time would be left; at 87.5 % one is.
RECIPES = {
    'random, 75 %': DEFAULT,
    'random, 90 %': Pretraining(ratio=0.9),
    'frame, 75 %': Pretraining(masking='frame'),
    'frame, 87.5 %': Pretraining(masking='frame', ratio=0.875),
}
STUDY: tuple[Entry, ...] = (
    *(
        _one('labels', f'{name}, {labels or "all"}', 'finetune', source, labels)
        for labels in (5, 20, ALL)
        for name, source in (('from scratch', SCRATCH), ('pretrained', DEFAULT))
    ),
    _one('labels', 'pretrained on whole frames, 20', 'finetune', Pretraining(masking='frame')),
    _one('compute', 'pretrained', 'finetune', DEFAULT),
    _one('compute', 'from scratch, equal epochs', 'finetune', SCRATCH),
    _one('compute', 'from scratch, equal compute', 'finetune', SCRATCH, equal_compute=True),
    _one('frozen', 'untrained', 'frozen', SCRATCH),
    _one('frozen', 'pretrained', 'frozen', DEFAULT),
    _one('control', 'one frame, from scratch', 'finetune', SCRATCH, ALL, still=True),
    _one('control', 'one frame, pretrained', 'finetune', DEFAULT, ALL, still=True),
    *(
        _compare('ratio', f'{ratio:.0%}'.replace('%', ' %'), ratio=ratio)
        for ratio in (0.5, 0.75, 0.9, 0.95)
    ),
    _compare('masking', 'random, 75 %'),
    _compare('masking', 'random, 90 %', ratio=0.9),
    _compare('masking', 'tube, 90 %', masking='tube', ratio=0.9),
    _compare('masking', 'frame, 75 %', masking='frame', ratio=0.75),
    _compare('masking', 'block, 75 %', masking='block', ratio=0.75),
    _compare('dense', 'sparse'),
    _compare('dense', 'dense', dense=True),
    *(
        _one('dense', f'time of a step, {name}', 'time', Pretraining(ratio=ratio))
        for name, ratio in (('75 %', 0.75), ('90 %', 0.9))
    ),
    _compare('target', 'normalised pixels', target='normalized_pixels'),
    _compare('target', 'raw pixels'),
    _compare('target', 'HOG', target='hog'),
    _compare('decoder', '1 block', decoder_depth=1),
    _compare('decoder', '2 blocks'),
    _compare('decoder', '4 blocks', decoder_depth=4),
    _compare('decoder', 'a quarter as wide', decoder_width=0.25),
    _compare('decoder', 'half as wide', decoder_width=0.5),
    _compare('decoder', 'twice as wide', decoder_width=2.0),
    _compare('repeats', '1'),
    _compare('repeats', '2', repeats=2),
    _compare('repeats', '4', repeats=4),
    _one('finetune_masking', 'none', 'finetune', DEFAULT),
    _one('finetune_masking', 'from 50 %', 'finetune', DEFAULT, masking=0.5),
    _one('finetune_masking', 'from 75 %', 'finetune', DEFAULT, masking=0.75),
    _headline('from scratch', SCRATCH),
    *(_headline(name, source) for name, source in RECIPES.items()),
    Entry(
        'headline',
        'from scratch, equal compute',
        tuple(
            Measurement('finetune', SCRATCH, label_set=s, equal_compute=True) for s in LABEL_SETS
        ),
    ),
    _headline('tube, 90 %', Pretraining(masking='tube', ratio=0.9)),
    _headline('random, 50 %', Pretraining(ratio=0.5)),
    _headline('random, 95 %', Pretraining(ratio=0.95)),
    _headline('block, 75 %', Pretraining(masking='block')),
    *(
        _one('progress', f'{name}, after {100 * share:.0f} %', 'frozen', source, at=share)
        for name, source in RECIPES.items()
        for share in (*SNAPSHOTS, 1.0)
    ),
)
