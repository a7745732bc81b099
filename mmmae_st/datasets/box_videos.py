"""Boxes of actions in one's own video files, for mmaction2's detection.

Imported by :mod:`mmmae_st.compat.mmdet`, after the checks there.
"""

import csv
from pathlib import Path

import numpy as np
from mmaction.datasets import AVADataset
from mmaction.evaluation import read_labelmap

from mmmae_st.datasets.readers import VideoReadError, open_video
from mmmae_st.registry import DATASETS

COLUMNS = 'video,second,x1,y1,x2,y2,label,person'


@DATASETS.register_module()
class BoxVideoDataset(AVADataset):
    """Annotated seconds of video files, in lines ``video,second,x1,y1,x2,y2,label,person``.

    These are AVA's columns. ``video`` is a file below ``data_prefix['img']``, ``second`` a whole
    number from the beginning of the video, boxes are from 0 to 1, labels are those of
    ``label_file``, from 1 on, and ``person`` is a number. Lines of one box and second belong
    together: a person does several things. All of it is checked at the start, with every video
    opened once. A pipeline begins with ``LoadBoxClip``.

    Args:
        ann_file: The list, without a header.
        pipeline: Transforms.
        label_file: Label map, in the form of AVA's.
        num_classes: Labels and one more, for none.
        data_prefix: ``img``: folder of the videos.
        exclude_file: Lines ``video,second`` to be left out.
        proposal_file: Pickled dict of ``'video,SSSS'`` (four digits of the second) to
            boxes (N, 4) or, with a score, (N, 5). Without one the annotated boxes serve.
        person_det_score_thr: Score that a proposal needs. Defaults to 0.9.
        test_mode: Whether it is for testing.
        indices: Part of the set.

    Raises:
        ValueError: A line is wrong, or its second is not in the video; names file and line.
    """

    def __init__(
        self,
        ann_file: str,
        pipeline: list,
        label_file: str,
        num_classes: int,
        data_prefix: dict,
        exclude_file: str | None = None,
        proposal_file: str | None = None,
        person_det_score_thr: float = 0.9,
        test_mode: bool = False,
        indices: int | list[int] | None = None,
    ) -> None:
        super().__init__(
            ann_file,
            pipeline,
            exclude_file=exclude_file,
            label_file=label_file,
            proposal_file=proposal_file,
            person_det_score_thr=person_det_score_thr,
            num_classes=num_classes,
            data_prefix=data_prefix,
            test_mode=test_mode,
            timestamp_start=0,
            use_frames=False,
            indices=indices,
        )

    def load_data_list(self) -> list[dict]:
        """Check every line, then read them as AVA's."""
        for name in ('label_file', 'ann_file'):
            if not Path(getattr(self, name)).is_file():
                raise FileNotFoundError(f'{name} {getattr(self, name)} is not a file')
        with open(self.label_file) as file:
            labels = read_labelmap(file)[1]
        if not labels or not 1 <= min(labels) <= max(labels) < self.num_classes:
            raise ValueError(
                f'label_file {self.label_file} has labels {sorted(labels)}; num_classes='
                f'{self.num_classes} takes 1 to {self.num_classes - 1}'
            )
        durations: dict[str, float] = {}
        with open(self.ann_file, newline='') as file:
            for number, row in enumerate(csv.reader(file), 1):
                problem = self._problem(row, labels, durations)
                if problem:
                    raise ValueError(f'ann_file {self.ann_file}, line {number}: {problem}')
        return super().load_data_list()

    def _problem(self, row: list[str], labels: set[int], durations: dict[str, float]) -> str:
        """What is wrong with a line; '' for nothing."""
        try:
            video, second, label, _ = row[0], int(row[1]), int(row[6]), int(row[7])
            x1, y1, x2, y2 = map(float, row[2:6])
        except (ValueError, IndexError):
            return f'expected "{COLUMNS}", got {",".join(row)!r}'
        if not (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1):
            return f'a box must be 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1, got {row[2:6]}'
        if label not in labels:
            return f'the label must be one of {sorted(labels)} of {self.label_file}, got {label}'
        if video not in durations:
            try:
                durations[video] = _duration(Path(self.data_prefix['img'], video))
            except VideoReadError as error:
                return f'cannot read {video}: {error}'
        if not 0 <= second < durations[video]:
            return (
                f'second {second} is not in {video}, which lasts {durations[video]:.2f} s: seconds '
                'count from the beginning of the file'
            )
        return ''

    def get_data_info(self, idx: int) -> dict:
        """As AVA's; without a file of proposals the annotated boxes are proposed."""
        info = super().get_data_info(idx)
        if self.proposals is None:
            info['proposals'] = np.array(info['gt_bboxes'])
        return info


def _duration(path: Path) -> float:
    """Seconds that a video lasts."""
    with open_video(str(path)) as reader:
        if not reader.fps > 0:
            raise VideoReadError('it states no frame rate')
        return reader.num_frames / reader.fps
