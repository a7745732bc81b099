import numpy as np
import pytest
import torch
from support.tiny_checkpoint import tiny_config

from mmmae_st.apis.reconstruct import (
    DECODED_NOTE,
    MASKS,
    NEIGHBOUR_NOTE,
    PIXEL_NOTE,
    _from_neighbours,
    draw_mask,
    restore,
    restore_clips,
)
from mmmae_st.patching import removed_ids
from mmmae_st.registry import MODELS
from mmmae_st.visualization import NORMALIZED_NOTE
from mmmae_st.visualization.reconstruction import (
    error_clip,
    error_limit,
    restored_figure,
    restored_frames,
)

GRID = (4, 4, 4)


@pytest.fixture(scope='module')
def clip():
    frames = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 3), np.uint8)
    return frames.repeat(8, axis=1).repeat(8, axis=2) // 2 + np.arange(32, dtype=np.uint8)[:, None]


def build(target='normalized_pixels', **head):
    torch.manual_seed(0)
    cfg = tiny_config(target)
    cfg.model.head.update(head)
    model = MODELS.build(cfg.model).eval()
    model.head.pred.bias.data.normal_()
    return model


class Oracle(torch.nn.Module):
    """A prediction layer that knows the answer."""

    def __init__(self, target, video, order):
        super().__init__()
        self.answer = target(video, order)

    def forward(self, features):
        return self.answer


def perfect(model, clip, **options):
    """Restore with a model that predicts its target exactly."""
    keep = draw_mask('random', GRID, 0.75)
    order = torch.cat([keep, removed_ids(keep, 64)], dim=1)
    inputs = [torch.from_numpy(clip).permute(3, 0, 1, 2)[None]]
    video = model.data_preprocessor(dict(inputs=inputs))['inputs']
    oracle = Oracle(model.head.make_target, video, order)
    oracle.out_features = model.head.pred.out_features
    model.head.pred = oracle
    return restore(model, clip, ratio=0.75, **options)


@pytest.mark.parametrize('frames', ['linspace', 'stride', 'all'])
def test_right_pixels_give_the_clip_back(clip, frames):
    result = perfect(build('pixels', frames=frames), clip)
    chosen = dict(linspace=[0, 2, 4, 7], stride=[0, 2, 4, 6], all=list(range(8)))[frames]
    np.testing.assert_allclose(result.input, clip[chosen] / 255, atol=1e-6)
    np.testing.assert_allclose(result.prediction, result.input, atol=1e-6)
    assert result.loss < 1e-10 and result.psnr > 60
    assert result.note == PIXEL_NOTE


def test_right_normalised_patches_need_the_true_statistics(clip):
    result = perfect(build(), clip)
    np.testing.assert_allclose(result.prediction, result.input, atol=1e-5)
    assert result.note == NORMALIZED_NOTE
    other = perfect(build(), clip, statistics='neighbours')
    assert other.note == NEIGHBOUR_NOTE
    assert other.loss == pytest.approx(result.loss)
    assert other.psnr < 40 < result.psnr


def test_neighbours_use_nothing_of_the_removed_patches(clip):
    model = build()
    first = restore(model, clip, ratio=0.75, statistics='neighbours')
    mask = np.isnan(first.error)
    big = mask.repeat(2, 0).repeat(8, 1).repeat(8, 2)
    changed = np.where(big[..., None], clip, 255 - clip)
    second = restore(model, changed, ratio=0.75, statistics='neighbours')
    np.testing.assert_array_equal(first.prediction, second.prediction)
    leaky = [restore(model, c, ratio=0.75).prediction for c in (clip, changed)]
    assert np.abs(leaky[0] - leaky[1]).max() > 0.1


def test_statistics_of_neighbours_are_weighted_by_distance():
    visible = torch.zeros(64, dtype=torch.bool)
    visible[0], visible[3] = True, True  # (0, 0, 0) and (0, 0, 3)
    values = torch.zeros(64, 1)
    values[3] = 1.0
    found = _from_neighbours(values[None], visible, GRID)[0, :, 0].view(GRID)
    assert found[0, 0, 0] < 1e-4 and found[0, 0, 3] > 1 - 1e-4
    assert found[0, 0, 1] == pytest.approx((1 / 4) / (1 + 1 / 4))
    assert found[3, 3, 0] < 0.5 < found[3, 3, 3]


@pytest.mark.parametrize('mask', MASKS)
def test_masks_errors_and_loss_belong_together(clip, mask):
    model = build()
    result = restore(model, clip, mask=mask, ratio=0.75, seed=3)
    assert result.label == f'{mask} 75 %'
    assert np.isnan(result.error).sum() == 16
    assert np.nanmean(result.error) == pytest.approx(result.loss, rel=1e-5)
    ids = draw_mask(mask, GRID, 0.75, seed=3)
    inputs = [torch.from_numpy(clip).permute(3, 0, 1, 2)[None]]
    video = model.data_preprocessor(dict(inputs=inputs))['inputs']
    assert result.loss == pytest.approx(model.loss(video, ids)['loss'].item(), rel=1e-4)
    visible = np.isnan(result.error).repeat(8, 1).repeat(8, 2)
    np.testing.assert_array_equal(result.masked[visible], result.input[visible])
    np.testing.assert_allclose(result.masked[~visible], 0.45, atol=1e-6)
    np.testing.assert_array_equal(result.prediction[visible], result.input[visible])


def test_the_picture_of_the_model_itself_agrees(clip):
    model = build()
    inputs = [torch.from_numpy(clip).permute(3, 0, 1, 2)[None]]
    video = model.data_preprocessor(dict(inputs=inputs))['inputs']
    with torch.no_grad():
        expected = model.predict(video, draw_mask('random', GRID, 0.75))[0]
    for paste, name in ((True, 'prediction'), (False, 'decoded')):
        found = restore(model, clip, ratio=0.75, paste=paste)
        picture = expected.get(name).permute(1, 2, 3, 0).numpy()
        np.testing.assert_allclose(found.prediction, picture, atol=1e-5)
        assert (DECODED_NOTE in found.note) is not paste


@pytest.mark.parametrize('statistics', ['true', 'neighbours'])
def test_several_clips_at_once_are_as_one_after_the_other(clip, statistics):
    model = build()
    clips = [clip, 255 - clip, np.roll(clip, 5, axis=2)]
    options = dict(mask='random', ratio=0.75, seed=3, statistics=statistics)
    stacked = [torch.from_numpy(c.copy()).permute(3, 0, 1, 2)[None] for c in clips]
    together = restore_clips(model, stacked, **options)
    for found, one in zip(together, clips, strict=True):
        alone = restore(model, one, **options)
        assert (found.label, found.note) == (alone.label, alone.note)
        np.testing.assert_array_equal(np.isnan(found.error), np.isnan(together[0].error))
        for name in ('input', 'masked', 'prediction', 'error', 'loss', 'psnr'):
            expected = getattr(alone, name)
            np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-4, atol=1e-5)
    assert abs(together[0].loss - together[2].loss) > 1e-3


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(mask='cube'), r"mask must be one of \('random'"),
        (dict(ratio=1.0), 'ratio must be in'),
        (dict(statistics='none'), 'statistics must be one of'),
    ],
)
def test_bad_arguments_are_named(clip, options, message):
    with pytest.raises(ValueError, match=message):
        restore(build(), clip, **options)
    with pytest.raises(ValueError, match='predicts no pixels'):
        restore(build('hog'), clip)


def test_figures_show_every_mask(clip):
    model = build()
    results = [restore(model, clip, ratio=ratio) for ratio in (0.5, 0.75)]
    one, two = (restored_figure(results[:n], tile=32) for n in (1, 2))
    assert two.shape[0] > one.shape[0] + 3 * 32
    frames = restored_frames(results, tile=32)
    assert len(frames) == 4
    assert len({frame.shape for frame in frames}) == 1
    assert (frames[0] != frames[1]).any()
    with pytest.raises(ValueError, match='0 results'):
        restored_figure([])


def test_heat_map_is_dark_where_right_and_grey_where_visible(clip):
    result = restore(build(), clip, ratio=0.75)
    limit = error_limit([result])
    heat = error_clip(result, limit)
    assert heat.shape == (4, 32, 32, 3)
    visible = np.isnan(result.error).repeat(8, 1).repeat(8, 2)
    assert (heat[visible] == 235).all()
    order = np.argsort(result.error[~np.isnan(result.error)])
    colours = heat[:, ::8, ::8][~np.isnan(result.error)].astype(int).sum(-1)
    assert colours[order[0]] < colours[order[-1]]
