import numpy as np
import pytest
import torch
from PIL import Image

from mmmae_st.visualization import NORMALIZED_NOTE, reconstruction_figure, save_png
from mmmae_st.visualization.sheet import GAP


def clips(values=(0.2, 0.5, 0.8), shape=(3, 4, 16, 24)):
    return [torch.full(shape, value) for value in values]


def runs(line):
    """Start and length of the stretches of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(int), [0]])))
    return list(zip(edges[::2].tolist(), (edges[1::2] - edges[::2]).tolist(), strict=True))


def area(picture, colour):
    """Stretches of rows and of columns that hold a colour in most of their length."""
    found = (picture == colour).all(-1)
    rows = runs(found.sum(1) > 20)
    columns = runs(found.sum(0) > 10)
    return rows, columns


def test_rows_are_input_masked_prediction_and_columns_are_frames():
    picture = reconstruction_figure(*clips(), tile=16)
    assert picture.dtype == np.uint8
    tops = []
    for value in (51, 128, 204):
        rows, columns = area(picture, value)
        assert [length for _, length in rows] == [16]
        assert [length for _, length in columns] == [24] * 4
        assert columns[1][0] - columns[0][0] == 24 + GAP
        tops.append(rows[0][0])
    assert np.diff(tops).tolist() == [16 + GAP] * 2


def test_channels_and_frames_keep_their_order():
    clip = torch.zeros(3, 2, 16, 16)
    clip[0, 0], clip[2, 1] = 1.0, 1.0  # red, then blue
    picture = reconstruction_figure(clip, clip, clip, tile=16)
    (red, _), (blue, _) = (area(picture, colour)[1][0] for colour in ((255, 0, 0), (0, 0, 255)))
    assert blue - red == 16 + GAP


def test_several_clips_long_clips_and_small_frames():
    picture = reconstruction_figure(*clips(shape=(2, 3, 16, 8, 8)), max_frames=5, tile=24)
    rows, columns = area(picture, 51)
    assert [length for _, length in rows] == [24] * 2
    assert [length for _, length in columns] == [24] * 5
    assert rows[1][0] - rows[0][0] > 3 * (24 + GAP)


def test_note_is_drawn_below_and_wrapped():
    plain = reconstruction_figure(*clips())
    noted = reconstruction_figure(*clips(), note=NORMALIZED_NOTE)
    assert noted.shape[0] >= plain.shape[0] + 2 * 14
    below = noted[plain.shape[0] :]
    assert below.min() < 150
    assert (below[:, -3:] == 255).all()  # nothing runs out of the picture
    kept = plain.shape[0] - 8
    assert (noted[:kept] == plain[:kept]).all()


def test_png_holds_the_same_picture(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    save_png(picture, tmp_path / 'a.png')
    assert (np.asarray(Image.open(tmp_path / 'a.png')) == picture).all()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(masked=torch.zeros(3, 4, 16, 16)), 'must have one shape'),
        (dict(prediction=torch.zeros(1, 4, 16, 24)), r'prediction must be RGB clips'),
        (dict(input=torch.zeros(16, 24)), r'input must be RGB clips'),
        (dict(max_frames=0), 'max_frames'),
    ],
)
def test_bad_input_is_named(change, message):
    args = dict(zip(('input', 'masked', 'prediction'), clips(), strict=True)) | change
    with pytest.raises(ValueError, match=message):
        reconstruction_figure(**args)
