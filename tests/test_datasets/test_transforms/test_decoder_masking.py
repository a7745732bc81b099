"""The decoder's part of the removed tokens: counts, coverage, errors."""

import numpy as np
import pytest
from support.blank_clips import blank_clips

from mmmae_st.datasets.transforms import DecoderMasking, PackClips, RandomMasking
from mmmae_st.datasets.transforms.decoder_masking import running_cells

GRID = (8, 14, 14)


@pytest.mark.parametrize(('ratio', 'count'), [(0.25, 1059), (0.5, 706), (0.75, 353)])
def test_counts_and_members(ratio, count):
    data = DecoderMasking(ratio)(RandomMasking(0.9)(blank_clips()))
    ids = data['ids_predict']
    assert ids.shape == (3, count) and ids.dtype == np.int64
    assert (np.diff(ids) > 0).all()  # sorted, none twice
    for keep, predict in zip(data['ids_keep'], ids, strict=True):
        assert not np.intersect1d(keep, predict).size
    assert len(np.unique(ids, axis=0)) == 3


def test_every_cell_is_shown_its_share_and_moves_on():
    cells = running_cells(GRID, 0.5, 1)
    per_cell = cells.reshape(8, 7, 2, 7, 2).sum((2, 4))
    assert (per_cell == 2).all()
    assert (cells[0] != cells[1]).mean() == 0.5
    assert (cells[0] == ~cells[2]).all() and (cells[0] == cells[4]).all()
    assert (cells.mean(0) == 0.5).all()  # no position is left out


def test_predicted_tokens_lie_in_the_cells():
    """All but the few that make the counts of the views equal."""
    data = DecoderMasking(0.5)(RandomMasking(0.9)(blank_clips(1)))
    shares = [
        running_cells(GRID, 0.5, start).ravel()[data['ids_predict'][0]].mean() for start in range(4)
    ]
    assert max(shares) > 0.95


def test_it_is_packed():
    data = blank_clips() | dict(sample_key=(0, 0, 0), path='a.mp4', frame_inds=None, failures=[])
    data = DecoderMasking()(RandomMasking(0.9)(data))
    assert PackClips()(data)['ids_predict'].shape == (3, 706)


def test_errors():
    with pytest.raises(ValueError, match='0.25, 0.5, 0.75.*got 0.3'):
        DecoderMasking(0.3)
    with pytest.raises(ValueError, match='after a masking transform'):
        DecoderMasking()(blank_clips())
    one_removed = dict(blank_clips(1), ids_keep=np.arange(1, 1568)[None], grid=GRID)
    with pytest.raises(ValueError, match='ratio 0.75 keeps none of 1;'):
        DecoderMasking(0.75)(one_removed)
