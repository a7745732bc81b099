import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, pseudo_collate
from torch.utils.data import DataLoader

from mmmae_st.datasets import VideoDataset
from mmmae_st.datasets.readers import VideoReadError
from mmmae_st.datasets.transforms import ClipCenterCrop, ClipResize, LoadClips, PackClips
from mmmae_st.evaluation import extract_features
from mmmae_st.evaluation.frozen_features import size_and_time
from mmmae_st.models import ClipDataPreprocessor, SpacetimeViT


@pytest.fixture(scope='module')
def folder(make_clip, tmp_path_factory):
    path = tmp_path_factory.mktemp('features')
    lines = []
    for i in range(3):
        make_clip(path / f'{i}.mp4', num_frames=16 + 8 * i)
        lines.append(f'{i}.mp4 {i}\n')
    (path / 'list.txt').write_text(''.join(lines))
    return path


def loader(
    folder, ann_file: str = 'list.txt', num_clips: int = 2, test_mode: bool = True
) -> DataLoader:
    dataset = VideoDataset(
        ann_file=ann_file,
        data_root=str(folder),
        pipeline=[
            LoadClips(8, 1, num_clips, sampling='uniform'),
            ClipResize(16),
            ClipCenterCrop(16),
            PackClips(),
        ],
        test_mode=test_mode,
    )
    sampler = DefaultSampler(dataset, shuffle=False)
    return DataLoader(dataset, batch_size=2, sampler=sampler, collate_fn=pseudo_collate)


def encoder(out_type: str = 'pooled', seed: int = 0) -> SpacetimeViT:
    torch.manual_seed(seed)
    arch = dict(embed_dims=16, depth=1, num_heads=2)
    return SpacetimeViT(arch, 16, 8, 8, out_type=out_type).eval()


def test_pooled_features_are_those_of_the_encoder(folder, tmp_path):
    backbone, data = encoder(), loader(folder)
    found = extract_features(backbone, ClipDataPreprocessor(), data, tmp_path)
    assert found.values.shape == (3, 2, 16) and found.values.dtype == np.float32
    assert found.labels.tolist() == [0, 1, 2]
    for i in range(3):
        clips = ClipDataPreprocessor()(pseudo_collate([data.dataset[i]]))['inputs']
        with torch.no_grad():
            expected = backbone(clips)
        np.testing.assert_allclose(found.values[i], expected, atol=1e-5)


def test_feature_maps_are_averaged_to_the_token_grid(folder, tmp_path):
    backbone, data = encoder('featmap'), loader(folder)
    every = extract_features(backbone, ClipDataPreprocessor(), data, tmp_path)
    assert every.values.shape == (3, 2, 4 * 2 * 2, 16) and every.values.dtype == np.float16
    few = extract_features(backbone, ClipDataPreprocessor(), data, tmp_path, (2, 1, 1))
    expected = every.values.astype(np.float32).reshape(3, 2, 2, 8, 16).mean(3)
    np.testing.assert_allclose(few.values, expected, atol=2e-3)


def test_the_second_time_nothing_is_computed(folder, tmp_path, monkeypatch):
    first = extract_features(encoder(), ClipDataPreprocessor(), loader(folder), tmp_path)
    monkeypatch.setattr(SpacetimeViT, 'forward', lambda *args: pytest.fail('computed again'))
    again = extract_features(encoder(), ClipDataPreprocessor(), loader(folder), tmp_path)
    assert np.array_equal(first.values, again.values)


def test_a_change_of_weights_pipeline_or_labels_is_noticed(folder, tmp_path):
    args = encoder(), ClipDataPreprocessor()
    extract_features(*args, loader(folder), tmp_path)
    (folder / 'other.txt').write_text('0.mp4 2\n1.mp4 1\n2.mp4 0\n')
    extract_features(encoder(seed=1), args[1], loader(folder), tmp_path)
    extract_features(*args, loader(folder, num_clips=1), tmp_path)
    extract_features(*args, loader(folder, ann_file='other.txt'), tmp_path)
    extract_features(args[0], ClipDataPreprocessor(mean=(1, 2, 3)), loader(folder), tmp_path)
    extract_features(*args, loader(folder), tmp_path, amp='force')
    for heads, epsilon in ((4, 1e-6), (2, 1e-2)):  # of the same weights
        backbone = SpacetimeViT(
            dict(embed_dims=16, depth=1, num_heads=heads),
            16, 8, 8, norm_eps=epsilon, out_type='pooled',
        )  # fmt: skip
        backbone.load_state_dict(args[0].state_dict())
        extract_features(backbone, args[1], loader(folder), tmp_path)
    assert len(list(tmp_path.iterdir())) == 8


def test_a_change_of_the_files_is_noticed(make_clip, tmp_path):
    def extract():
        data = loader(tmp_path)
        return extract_features(encoder(), ClipDataPreprocessor(), data, tmp_path / 'cache').values

    make_clip(tmp_path / '0.mp4', num_frames=16)
    shutil.copy(tmp_path / '0.mp4', tmp_path / '1.mp4')
    (tmp_path / 'list.txt').write_text('0.mp4 0\n1.mp4 1\n')
    first = extract()
    np.testing.assert_allclose(first[0], first[1], atol=1e-5)
    make_clip(tmp_path / '1.mp4', num_frames=24)
    assert not np.allclose(extract()[1], first[1], atol=1e-3)
    time = (tmp_path / '1.mp4').stat().st_mtime_ns
    os.utime(tmp_path / '1.mp4', ns=(time, time + 1))  # other content may have the same size
    extract()
    assert len(list((tmp_path / 'cache').iterdir())) == 3


def test_a_change_of_one_frame_of_a_folder_is_noticed(tmp_path):
    frames = [tmp_path / f'img_{i:05}.jpg' for i in range(2)]
    for frame in frames:
        frame.write_bytes(b'x')
    before = size_and_time(str(tmp_path))
    assert [name for name, *_ in before] == ['img_00000.jpg', 'img_00001.jpg']
    assert size_and_time(str(tmp_path)) == before
    frames[1].write_bytes(b'xy')
    assert size_and_time(str(tmp_path)) != before
    assert size_and_time(str(tmp_path / 'absent')) == []


def test_without_bfloat16_in_the_hardware_amp_is_float32(folder, tmp_path, cpu_without_bfloat16):
    args = encoder(), ClipDataPreprocessor(), loader(folder), tmp_path
    plain = extract_features(*args)
    assert np.array_equal(extract_features(*args, amp=True).values, plain.values)
    assert not np.array_equal(extract_features(*args, amp='force').values, plain.values)
    assert len(list(tmp_path.iterdir())) == 2


def test_an_extraction_that_was_cut_off_is_done_again(folder, tmp_path):
    found = extract_features(encoder(), ClipDataPreprocessor(), loader(folder), tmp_path)
    values = np.array(found.values)
    (cache,) = tmp_path.iterdir()
    (cache / 'done.json').unlink()
    np.lib.format.open_memmap(cache / 'values.npy', 'r+')[:] = 0
    again = extract_features(encoder(), ClipDataPreprocessor(), loader(folder), tmp_path)
    assert np.array_equal(again.values, values)


def test_bad_arguments_are_named(folder, tmp_path):
    with pytest.raises(ValueError, match="out_type must be 'pooled' or 'featmap'"):
        extract_features(encoder('tokens'), ClipDataPreprocessor(), loader(folder), tmp_path)
    with pytest.raises(ValueError, match='token_grid'):
        extract_features(encoder(), ClipDataPreprocessor(), loader(folder), tmp_path, (1, 1, 1))
    (folder / 'bare.txt').write_text('0.mp4\n')
    with pytest.raises(ValueError, match='has no label'):
        extract_features(encoder(), ClipDataPreprocessor(), loader(folder, 'bare.txt'), tmp_path)


def test_a_replaced_video_gives_features_and_label_of_its_replacement(folder, tmp_path):
    (folder / 'broken.mp4').write_bytes(b'')
    (folder / 'broken.txt').write_text('0.mp4 0\nbroken.mp4 7\n')
    data = loader(folder, 'broken.txt', test_mode=False)
    found = extract_features(encoder(), ClipDataPreprocessor(), data, tmp_path)
    assert found.labels.tolist() == [0, 0]
    np.testing.assert_allclose(found.values[0], found.values[1], atol=1e-6)


def test_what_failed_once_is_tried_again(folder, tmp_path, monkeypatch):
    expected = extract_features(encoder(), ClipDataPreprocessor(), loader(folder), tmp_path / '1')
    tried = []
    decode = LoadClips.decode

    def decode_but(self, results, rngs):
        tried.append(Path(results['path']).name)
        if results['path'].endswith(broken):
            raise VideoReadError('the disk is away')
        return decode(self, results, rngs)

    monkeypatch.setattr(LoadClips, 'decode', decode_but)

    def extract():
        tried.clear()
        data = loader(folder, test_mode=False)
        return extract_features(encoder(), ClipDataPreprocessor(), data, tmp_path / '2')

    for broken in ('1.mp4', '1.mp4', 'none', 'none'):
        found = extract()
        if broken == '1.mp4':
            assert found.labels[1] != 1 and not np.array_equal(found.values[1], expected.values[1])
            assert '1.mp4' in tried
    assert tried == []  # all is done
    assert found.labels.tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.values, expected.values, atol=1e-6)
