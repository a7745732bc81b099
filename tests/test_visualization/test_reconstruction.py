import numpy as np
import pytest
import torch
from PIL import Image

from mmmae_st.visualization import NORMALIZED_NOTE, reconstruction_figure, save_png
from mmmae_st.visualization.reconstruction import GAP, LABEL_WIDTH, LINE_HEIGHT


def clips(values=(0.2, 0.5, 0.9), shape=(3, 4, 16, 24)):
    return [torch.full(shape, value) for value in values]


def test_rows_are_input_masked_prediction_and_columns_are_frames():
    picture = reconstruction_figure(*clips(), min_tile=16)
    assert picture.dtype == np.uint8
    assert picture.shape == (3 * (16 + GAP), LABEL_WIDTH + 4 * (24 + GAP), 3)
    for row, value in enumerate((51, 128, 230)):
        top = row * (16 + GAP)
        for column in range(4):
            left = LABEL_WIDTH + column * (24 + GAP)
            assert (picture[top : top + 16, left : left + 24] == value).all()


def test_channels_and_frames_keep_their_order():
    clip = torch.zeros(3, 2, 8, 8)
    clip[0, 0], clip[2, 1] = 1.0, 1.0  # red, then blue
    picture = reconstruction_figure(clip, clip, clip, min_tile=8)
    assert picture[0, LABEL_WIDTH].tolist() == [255, 0, 0]
    assert picture[0, LABEL_WIDTH + 8 + GAP].tolist() == [0, 0, 255]


def test_several_clips_long_clips_and_small_frames():
    picture = reconstruction_figure(*clips(shape=(2, 3, 16, 8, 8)), max_frames=5, min_tile=20)
    assert picture.shape == (2 * 3 * (24 + GAP) + 2 * GAP, LABEL_WIDTH + 5 * (24 + GAP), 3)


def test_note_is_drawn_below_and_wrapped():
    plain = reconstruction_figure(*clips())
    noted = reconstruction_figure(*clips(), note=NORMALIZED_NOTE)
    lines, rest = divmod(noted.shape[0] - plain.shape[0], LINE_HEIGHT)
    assert rest == 0 and lines >= 2
    assert (noted[: plain.shape[0]] == plain).all()
    for line in range(lines):
        top = plain.shape[0] + line * LINE_HEIGHT
        assert noted[top : top + LINE_HEIGHT].min() < 128
        assert noted[top : top + LINE_HEIGHT, -1].min() == 255  # nothing runs out of the picture


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
