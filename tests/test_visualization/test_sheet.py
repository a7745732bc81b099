import numpy as np
import pytest

from mmmae_st.visualization.sheet import GAP, fit_tile, pick_frames, sheet, text_width, wrap


def tile(value, height=20, width=30):
    return np.full((height, width, 3), value, np.uint8)


def find(picture, value):
    """Rows and columns of a colour: first and last of each."""
    rows, columns = np.nonzero((picture == value).all(-1))
    return rows.min(), rows.max(), columns.min(), columns.max()


def test_pictures_stand_in_rows_and_columns():
    picture = sheet([[tile(10), tile(20)], [tile(40, 8), tile(50, 8)]])
    top, bottom, left, right = find(picture, 10)
    assert (bottom - top, right - left) == (19, 29)
    assert find(picture, 20)[2] == right + 1 + GAP
    assert find(picture, 40)[0] == bottom + 1 + GAP
    assert find(picture, 50)[2:] == find(picture, 20)[2:]


def test_labels_move_the_pictures_and_stay_outside_of_them():
    plain = sheet([[tile(10)], [tile(20)]])
    labelled = sheet(
        [[tile(10)], [tile(20)]],
        row_labels=['input', 'masked\n90 %'],
        column_labels=['frame 1'],
        title='a title that is longer than the picture',
        note='a note',
        breaks=[1],
    )
    assert find(labelled, 10)[2] > find(plain, 10)[2] + 30
    assert find(labelled, 10)[0] > find(plain, 10)[0] + 20
    gap = find(labelled, 20)[0] - find(labelled, 10)[1]
    assert gap == find(plain, 20)[0] - find(plain, 10)[1] + 3 * GAP
    assert labelled.shape[1] >= text_width('a title that is longer than the picture', 16)
    assert (labelled[:, -2:] == 255).all() and (labelled[-2:] == 255).all()
    assert find(labelled, 20)[1] + 10 < labelled.shape[0]
    assert labelled[find(labelled, 20)[1] + 4 :].min() < 150  # the note


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (dict(rows=[]), 'at least one picture'),
        (dict(rows=[[]]), 'at least one picture'),
        (dict(rows=[[tile(1), tile(1, 10)]]), r'one row must have one height, got \[10, 20\]'),
        (dict(rows=[[tile(1)], [tile(1, 20, 10)]]), 'one column must have one width'),
        (dict(rows=[[tile(1)]], row_labels=['a', 'b']), '2 row_labels were given for 1 rows'),
        (dict(rows=[[tile(1)]], column_labels=['a', 'b']), '2 column_labels'),
    ],
)
def test_what_does_not_line_up_is_named(args, message):
    with pytest.raises(ValueError, match=message):
        sheet(**args)


@pytest.mark.parametrize(('size', 'expected'), [(32, 128), (64, 128), (96, 96), (224, 112)])
def test_tiles_keep_their_pixels_or_are_averaged(size, expected):
    picture = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    fitted = fit_tile(picture, 112)
    assert fitted.shape == (expected, expected, 3)
    if size <= 112:
        factor = expected // size
        assert (fitted[::factor, ::factor] == picture).all()
    else:
        assert fitted.mean() == pytest.approx(picture.mean(), abs=1)


def test_frames_are_picked_at_equal_distances():
    assert pick_frames(16, 4) == [0, 5, 10, 15]
    assert pick_frames(3, 8) == [0, 1, 2]
    with pytest.raises(ValueError, match='at least 1, got 0'):
        pick_frames(3, 0)


def test_text_is_wrapped_to_the_width():
    lines = wrap('one two three four five\nsix', 60, 14)
    assert ' '.join(lines) == 'one two three four five six'
    assert lines[-1] == 'six'
    assert all(text_width(line, 14) <= 60 for line in lines)
