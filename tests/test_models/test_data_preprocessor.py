import pytest
import torch

from mmmae_st.models import ClipDataPreprocessor


def test_views_are_merged_and_pixels_normalised():
    inputs = [torch.full((2, 3, 4, 8, 8), value, dtype=torch.uint8) for value in (0, 255)]
    ids = [torch.zeros(2, 5, dtype=torch.int64), torch.ones(2, 5, dtype=torch.int64)]
    batch = ClipDataPreprocessor()(dict(inputs=inputs, ids_keep=ids, data_samples=['a', 'b']))
    assert batch['inputs'].shape == (4, 3, 4, 8, 8) and batch['inputs'].dtype is torch.float32
    torch.testing.assert_close(batch['inputs'][0, 0, 0, 0, 0], torch.tensor(-0.45 / 0.225))
    torch.testing.assert_close(batch['inputs'][2, 0, 0, 0, 0], torch.tensor(0.55 / 0.225))
    assert batch['ids_keep'][:, 0].tolist() == [0, 0, 1, 1]
    assert batch['data_samples'] == ['a', 'b']


def test_denormalize_inverts():
    preprocessor = ClipDataPreprocessor()
    clip = torch.randint(0, 256, (1, 3, 2, 4, 4), dtype=torch.uint8)
    batch = preprocessor(dict(inputs=[clip]))
    torch.testing.assert_close(preprocessor.denormalize(batch['inputs']), clip / 255.0)


def test_clips_of_different_sizes_are_named():
    inputs = [torch.zeros(1, 3, 2, 8, 8), torch.zeros(1, 3, 2, 8, 12)]
    with pytest.raises(ValueError, match='12'):
        ClipDataPreprocessor()(dict(inputs=inputs))


def test_bad_statistics_are_named():
    with pytest.raises(ValueError, match='std'):
        ClipDataPreprocessor(mean=[0.0], std=[0.0])
    with pytest.raises(ValueError, match='scale of the frames, 0 to 255'):
        ClipDataPreprocessor(mean=[0.45], std=[0.225])
    with pytest.raises(ValueError, match='equally long'):
        ClipDataPreprocessor(mean=[0.0, 0.0], std=[1.0])
