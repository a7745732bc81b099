"""Sample dict to what the model gets."""

import importlib

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import BaseDataElement

from mmmae_st.registry import TRANSFORMS
from mmmae_st.uncut_clips import UncutClips


@TRANSFORMS.register_module()
class PackClips(BaseTransform):
    """Pack a sample for mmengine's ``pseudo_collate``.

    Returns a dict with

    - ``inputs``: (R, C, T, H, W) uint8 tensor, a permuted view of (R, T, H, W, C) memory; or
      :class:`UncutClips`, with ``LoadClips(cut_on_device=True)``;
    - ``ids_keep``: (R, K) int64 tensor, when a mask was drawn;
    - ``ids_predict``: (R, M') int64 tensor, with ``DecoderMasking``;
    - ``data_samples``: ``BaseDataElement`` with the metainfo ``path``, ``index``, ``epoch``,
      ``frame_inds``, ``grid`` (with a mask), ``label`` (when there is one), ``source`` (in a
      mixture, whose index and epoch are those of the source) and ``failures``: (path, cause) of
      each video that was replaced on the way to this sample.

    Raises:
        ValueError: The clips are still lists of frames that differ in size.
    """

    def transform(self, results: dict) -> dict:
        """Pack one sample."""
        clips = results['clips']
        if not isinstance(clips, UncutClips):
            clips = torch.from_numpy(np.ascontiguousarray(clips)).permute(0, 4, 1, 2, 3)
        _, epoch, index = results['sample_key']
        meta = dict(
            path=results['path'],
            index=index,
            epoch=epoch,
            frame_inds=results['frame_inds'],
            failures=results['failures'],
        )
        if 'source' in results:
            meta['source'] = results['source']
        packed = dict(inputs=clips)
        if 'ids_keep' in results:
            packed['ids_keep'] = torch.from_numpy(results['ids_keep'])
            meta['grid'] = results['grid']
        if 'ids_predict' in results:
            packed['ids_predict'] = torch.from_numpy(results['ids_predict'])
        if 'label' in results:
            meta['label'] = results['label']
        packed['data_samples'] = BaseDataElement(metainfo=meta)
        return packed


@TRANSFORMS.register_module()
class PackActionClips(BaseTransform):
    """Pack clips and their label for mmaction2.

    In testing the R clips of a video are one sample with ``inputs`` (R, C, T, H, W), whose
    scores mmaction2 averages (collate with ``pseudo_collate``). In training each of the R clips
    is a sample of its own with ``inputs`` (1, C, T, H, W) and the video's label, in a list of R
    (collate with mmaction2's ``repeat_pseudo_collate``).

    A sample is ``dict(inputs=uint8 tensor, data_samples=ActionDataSample)`` with ``gt_label``
    (1,) int64 when there is a label, and the metainfo of :class:`PackClips`; in training
    ``frame_inds`` is (1, T) and ``view`` tells the clips of a video apart.

    Args:
        split_views: Make a sample of each clip. Defaults to False.
    """

    def __init__(self, split_views: bool = False) -> None:
        # Here and not on import: the other transforms do without mmaction2.
        importlib.import_module('mmmae_st.compat.mmaction')
        from mmaction.structures import ActionDataSample

        self.sample_type = ActionDataSample
        self.pack = PackClips()
        self.split_views = split_views

    def transform(self, results: dict) -> dict | list[dict]:
        """Pack one video."""
        packed = self.pack.transform(results)
        clips, meta = packed['inputs'], packed['data_samples'].metainfo
        if not self.split_views:
            return dict(inputs=clips, data_samples=self._sample(meta))
        samples = []
        for view, clip in enumerate(clips):
            own = dict(meta, view=view, frame_inds=meta['frame_inds'][view : view + 1])
            samples.append(dict(inputs=clip[None], data_samples=self._sample(own)))
        return samples

    def _sample(self, meta: dict) -> BaseDataElement:
        sample = self.sample_type(metainfo=meta)
        if 'label' in meta:
            sample.set_gt_label(meta['label'])
        return sample
