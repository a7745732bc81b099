"""Sample dict to what the model gets."""

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import BaseDataElement

from ...registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackClips(BaseTransform):
    """Pack a sample for mmengine's ``pseudo_collate``.

    Returns a dict with

    - ``inputs``: (R, C, T, H, W) uint8 tensor, a permuted view of (R, T, H, W, C) memory;
    - ``ids_keep``: (R, K) int64 tensor, when a mask was drawn;
    - ``ids_predict``: (R, M') int64 tensor, with ``DecoderMasking``;
    - ``data_samples``: ``BaseDataElement`` with the metainfo ``path``, ``index``, ``epoch``,
      ``frame_inds``, ``grid`` (with a mask), ``label`` (when there is one) and ``failures``:
      (path, cause) of each video that was replaced on the way to this sample.

    Raises:
        ValueError: The clips are still lists of frames that differ in size.
    """

    def transform(self, results: dict) -> dict:
        """Pack one sample."""
        clips = np.ascontiguousarray(results['clips'])
        _, epoch, index = results['sample_key']
        meta = dict(
            path=results['path'],
            index=index,
            epoch=epoch,
            frame_inds=results['frame_inds'],
            failures=results['failures'],
        )
        packed = dict(inputs=torch.from_numpy(clips).permute(0, 4, 1, 2, 3))
        if 'ids_keep' in results:
            packed['ids_keep'] = torch.from_numpy(results['ids_keep'])
            meta['grid'] = results['grid']
        if 'ids_predict' in results:
            packed['ids_predict'] = torch.from_numpy(results['ids_predict'])
        if 'label' in results:
            meta['label'] = results['label']
        packed['data_samples'] = BaseDataElement(metainfo=meta)
        return packed
