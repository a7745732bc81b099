"""Records of videos, and the rule for those that cannot be read. Nothing is decoded here."""

import os
import warnings
from collections.abc import Callable, Sequence

from mmengine.dataset import BaseDataset
from torch.utils.data import get_worker_info

from mmmae_st.datasets.annotations import (
    DELIMITERS,
    VIDEO_EXTENSIONS,
    read_list,
    require_inside,
    scan_folder,
)
from mmmae_st.datasets.prepared import require_enough_frames
from mmmae_st.datasets.readers import VideoReadError
from mmmae_st.datasets.readers.frame_folder import frame_pattern
from mmmae_st.datasets.records import RecordList
from mmmae_st.datasets.sample_key import SampleKey, replacement_rng
from mmmae_st.datasets.shards import ENDING, ShardIndex
from mmmae_st.registry import DATASETS, TRANSFORMS

NO_EPOCH = (
    'VideoDataset gets an index without an epoch: every epoch has the same views and masks. Use '
    "sampler=dict(type='mmmae_st.EpochSampler') for training, or test_mode=True"
)


class UnreadableVideoError(RuntimeError):
    """A sample cannot be made, because its video and any replacements cannot be read."""


@DATASETS.register_module()
class VideoDataset(BaseDataset):
    """Videos from an annotation list, a folder, tar files with an index, or folders of raw frames.

    A sample is a pure function of (seed, epoch, index): ``dataset[(epoch, index)]`` is the same in
    any process, whatever was read before. ``dataset[index]`` is epoch 0; a worker of a loader, and
    more of them than there are videos, warn of it, since a sampler other than
    :class:`EpochSampler` gives every epoch the same samples.

    In training a video that cannot be read is replaced by another one drawn from (seed, epoch,
    index); the failures met travel with the sample under ``failures``. In test mode it is an error,
    because a replacement would change the metric.

    Args:
        ann_file: Annotation list, one ``path`` or ``path label`` a line, relative to
            ``data_root``. Empty: scan the folder. An index (``.npz``) of videos packed by
            ``tools/dataset_converters/pack_videos.py``: they are read out of the tar files beside
            it. Defaults to ''.
        data_root: Root of all paths; none may leave it. Defaults to ''.
        data_prefix: ``dict(video=...)``: the folder of the videos, or of the tar files where they
            are not beside their index; relative to ``data_root``.
        pipeline: Transforms.
        seed: Seed of everything random in the samples, >= 0. Defaults to 0.
        delimiter: What parts path and label. Defaults to None, which means: found
            per line (see :func:`read_list`).
        extensions: File name endings of videos, for scanning.
        frame_tmpl: File name template such as ``'img_{:05}.jpg'`` when a path is a
            folder of frames. Defaults to None.
        indices: Keep the first so many records, or these.
        test_mode: An unreadable video is an error. Defaults to False.
        max_refetch: How many replacements may fail in a row. Defaults to 20.
        lazy_init: Read the list at first use, not now. Defaults to False.
        backend_args: Arguments of mmengine's file backend for the list and the
            folder; :class:`LoadClips` has its own for the videos.

    Raises:
        FileNotFoundError: The list or the folder does not exist.
        ValueError: A bad argument, a malformed line, a path that leaves ``data_root``, a list or
            folder without a video, videos prepared with fewer frames than the clips ask for.
    """

    METAINFO = dict(dataset_type='video')

    def __init__(
        self,
        ann_file: str = '',
        data_root: str = '',
        data_prefix: dict | None = None,
        pipeline: Sequence[dict | Callable] = (),
        seed: int = 0,
        delimiter: str | None = None,
        extensions: Sequence[str] = VIDEO_EXTENSIONS,
        frame_tmpl: str | None = None,
        indices: int | Sequence[int] | None = None,
        test_mode: bool = False,
        max_refetch: int = 20,
        lazy_init: bool = False,
        backend_args: dict | None = None,
    ) -> None:
        prefix = dict(video='') if data_prefix is None else dict(data_prefix)
        if set(prefix) != {'video'}:
            raise ValueError(f"data_prefix must have the one key 'video', got {data_prefix!r}")
        if not (ann_file or data_root or prefix['video']):
            raise ValueError("one of ann_file, data_root and data_prefix['video'] must be given")
        if not isinstance(seed, int) or seed < 0:
            raise ValueError(f'seed must be an integer >= 0, got {seed!r}')
        if delimiter is not None and delimiter not in DELIMITERS:
            raise ValueError(f'delimiter must be one of {DELIMITERS} or None, got {delimiter!r}')
        if not isinstance(max_refetch, int) or max_refetch < 0:
            raise ValueError(f'max_refetch must be an integer >= 0, got {max_refetch!r}')
        if frame_tmpl is not None:
            frame_pattern(frame_tmpl)
            if ann_file.endswith(ENDING):
                raise ValueError(f'frame_tmpl must be None with an index, got {frame_tmpl!r}')
        self.source: str | None = None  # set by MixedVideoDataset
        self._without_epoch = 0
        self._has_prefix = bool(prefix['video'])
        self.seed = seed
        self.delimiter = delimiter
        self.extensions = extensions
        self.frame_tmpl = frame_tmpl
        self.backend_args = backend_args
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            data_prefix=prefix,
            pipeline=[TRANSFORMS.build(t) if isinstance(t, dict) else t for t in pipeline],
            indices=indices,
            test_mode=test_mode,
            max_refetch=max_refetch,
            lazy_init=lazy_init,
        )

    def load_data_list(self) -> Sequence[dict]:
        """Records with ``path``, and ``label`` when the list has labels."""
        self.serialize_data = False  # the lists of records are small and shared as they are
        folder = self.data_prefix['video']
        if self.ann_file.endswith(ENDING):
            return self._load_index()
        require_enough_frames(folder, self.pipeline.transforms)
        if self.ann_file:
            records = read_list(
                self.ann_file, self.delimiter, self.frame_tmpl is not None, self.backend_args
            )
            require_inside(records, self.data_root, folder)
        else:
            records = scan_folder(folder, self.extensions, self.frame_tmpl, self.backend_args)
        return records.below(folder, self.backend_args)

    def _load_index(self) -> ShardIndex:
        records = ShardIndex(self.ann_file, '', self.backend_args)
        if self._has_prefix and not os.path.isfile(records.shard_path(0)):
            records.folder = self.data_prefix['video']
        transforms = self.pipeline.transforms
        require_enough_frames(os.path.dirname(self.ann_file), transforms)
        loading = (t.backend_args for t in transforms if hasattr(t, 'backend_args'))
        records.require_shards(next(loading, self.backend_args))
        return records

    def _get_unserialized_subset(self, indices: int | Sequence[int]) -> Sequence[dict]:
        is_shared = isinstance(self.data_list, (RecordList, ShardIndex))
        if is_shared and not isinstance(indices, int):
            return self.data_list[indices]
        return super()._get_unserialized_subset(indices)

    def __getitem__(self, idx: int | tuple[int, int]) -> dict:
        """Make one sample.

        Args:
            idx: Index, or (epoch, index).

        Returns:
            What the pipeline returns.

        Raises:
            IndexError: No such index.
            UnreadableVideoError: The video cannot be read (test mode), or neither it nor
                ``max_refetch`` replacements can.
        """
        epoch, index = idx if isinstance(idx, tuple) else (0, idx)
        if not (self.test_mode or isinstance(idx, tuple)):
            self._without_epoch += 1
            if get_worker_info() is not None or self._without_epoch > len(self):
                warnings.warn(NO_EPOCH, stacklevel=2)
        if not -len(self) <= index < len(self):
            raise IndexError(f'index {index} is out of range for {len(self)} videos')
        index %= len(self)
        sample_key = self.seed, epoch, index
        others = replacement_rng(sample_key)
        failures: list[tuple[str, str]] = []
        candidate = index
        while len(failures) <= self.max_refetch:
            record = self.get_data_info(candidate)
            try:
                return self.pipeline(self._results(record, sample_key, failures))
            except VideoReadError as error:
                failures.append((record['path'], str(error)))
                if self.test_mode:
                    raise UnreadableVideoError(f'cannot read {record["path"]}: {error}') from error
            candidate = int(others.integers(len(self)))
        examples = '; '.join(f'{path} ({cause})' for path, cause in failures[:3])
        raise UnreadableVideoError(
            f'{len(failures)} videos in a row cannot be read (max_refetch={self.max_refetch}), '
            f'for example {examples}'
        )

    def _results(self, record: dict, sample_key: SampleKey, failures: list) -> dict:
        results = dict(record, sample_key=sample_key, failures=list(failures))
        if self.frame_tmpl is not None:
            results['frame_tmpl'] = self.frame_tmpl
        if self.source is not None:
            results['source'] = self.source
        return results
