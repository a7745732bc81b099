"""Tools that draw: each on a tiny model and clip, and what they say of wrong input."""

import json

import numpy as np
import pytest
from PIL import Image
from support.tiny_checkpoint import tiny_config, write_tiny_checkpoint


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp('model') / 'epoch_1.pth'
    write_tiny_checkpoint(path)
    return str(path)


def test_reconstruction_in_every_format(tool, checkpoint, clips, tmp_path, capsys):
    video = str(clips['plain'])
    options = '--formats png gif mp4 --masks random tube --ratios 0.5 0.75 --frame-interval 2'
    main = tool('visualizations/visualize_reconstruction.py').main
    main([checkpoint, video, '--out-dir', str(tmp_path), *options.split()])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'plain.gif',
        'plain.json',
        'plain.mp4',
        'plain.png',
    ]
    report = json.loads((tmp_path / 'plain.json').read_text())
    assert [entry['mask'] for entry in report] == [
        'random 50 %',
        'random 75 %',
        'tube 50 %',
        'tube 75 %',
    ]
    for entry, visible in zip(report, (32, 16, 32, 16), strict=True):
        errors = [x for time in entry['patch_errors'] for row in time for x in row]
        removed = [x for x in errors if x is not None]
        assert len(errors) - len(removed) == visible
        assert np.mean(removed) == pytest.approx(entry['loss'], rel=1e-3)
    assert 'plain: tube 75 %: loss' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'checkpoint': 'none.pth'}, r'checkpoint none\.pth does not exist'),
        ({'video': 'none.mp4'}, r'cannot read none\.mp4'),
        ({'--ratios': '1.5'}, 'ratio must be in'),
        ({'--config': 'none.py'}, r'config none\.py does not exist'),
    ],
)
def test_reconstruction_names_what_is_wrong(tool, checkpoint, clips, tmp_path, change, message):
    given = {'checkpoint': checkpoint, 'video': str(clips['plain']), '--out-dir': str(tmp_path)}
    given |= change
    args = [given.pop('checkpoint'), given.pop('video')]
    args += [word for pair in given.items() for word in pair]
    with pytest.raises(SystemExit, match=message):
        tool('visualizations/visualize_reconstruction.py').main(args)


def test_masks_of_the_paper_and_of_a_config(tool, clips, tmp_path, capsys):
    main = tool('visualizations/visualize_masks.py').main
    size = ['--num-frames', '8', '--size', '32', '--patch-size', '8', '--frame-interval', '2']
    main([str(clips['plain']), *size, '--out', str(tmp_path / 'kinds.png')])
    config = tmp_path / 'tiny.py'
    tiny_config().dump(config)
    main([str(clips['plain']), *size, '--config', str(config), '--out', str(tmp_path / 'own.png')])
    kinds, own = (Image.open(tmp_path / name) for name in ('kinds.png', 'own.png'))
    assert kinds.height > 2 * own.height
    with pytest.raises(SystemExit, match=r'cannot read .*none\.mp4'):
        main(['none.mp4'])


def test_samples_of_a_dataset(tool, clips, tmp_path, capsys):
    folder = clips['plain'].parent
    config = tmp_path / 'tiny.py'
    cfg = tiny_config()
    dataset = cfg.train_dataloader.dataset
    dataset.update(data_root=str(folder), ann_file='', extensions=('plain.mp4', 'fps15.mp4'))
    cfg.dump(config)
    main = tool('visualizations/browse_dataset.py').main
    for epoch in ('0', '0', '1'):
        out = tmp_path / f'{len(list(tmp_path.iterdir()))}'
        main([str(config), '--out-dir', str(out), '--num', '5', '--epoch', epoch])
    pictures = [sorted(folder.glob('*.png')) for folder in sorted(tmp_path.iterdir())[:3]]
    assert [[path.name for path in found] for found in pictures] == [
        ['train_00000.png', 'train_00001.png']
    ] * 3
    same, again, other = (np.asarray(Image.open(found[0])) for found in pictures)
    assert np.array_equal(same, again)
    assert same.shape != other.shape or not np.array_equal(same, other)


def test_browsing_names_what_is_wrong(tool, clips, tmp_path, capsys):
    config = tmp_path / 'tiny.py'
    cfg = tiny_config()
    cfg.dump(config)
    main = tool('visualizations/browse_dataset.py').main
    with pytest.raises(SystemExit, match='/secret/folder'):
        main([str(config)])
    with pytest.raises(SystemExit, match='no val_dataloader'):
        main([str(config), '--split', 'val'])
    with pytest.raises(SystemExit):
        main([str(config), '--num', '0'])
    assert '--num: must be at least 1, got 0' in capsys.readouterr().err


def test_token_maps(tool, checkpoint, clips, tmp_path, capsys):
    main = tool('visualizations/visualize_attention.py').main
    out = ['--out-dir', str(tmp_path), '--frame-interval', '2']
    main([checkpoint, str(clips['plain']), *out, '--position', '1', '2', '3', '--block', '0'])
    assert Image.open(tmp_path / 'plain.png').height > 4 * 100
    with pytest.raises(SystemExit, match='outside the token grid'):
        main([checkpoint, str(clips['plain']), *out, '--position', '9', '0', '0'])
    with pytest.raises(SystemExit, match='block must be in'):
        main([checkpoint, str(clips['plain']), *out, '--block', '7'])


def test_features_of_videos_without_labels(tool, checkpoint, make_clip, tmp_path, capsys):
    videos = tmp_path / 'videos'
    videos.mkdir()
    for i in range(3):
        make_clip(videos / f'{i}.mp4', num_frames=20 + 4 * i)
    (videos / '1.mp4').write_bytes(b'')
    main = tool('extract_features.py').main
    options = ['--workers', '0', '--frame-interval', '2', '--batch-size', '2']
    main([checkpoint, str(videos), '--out', str(tmp_path / 'a.npz'), '--views', '2', *options])
    found = np.load(tmp_path / 'a.npz')
    assert found['features'].shape == (3, 32) and found['features'].dtype == np.float32
    assert np.isnan(found['features']).all(axis=1).tolist() == [False, True, False]
    assert [path[-5:] for path in found['paths']] == ['0.mp4', '1.mp4', '2.mp4']
    assert 'labels' not in found and 'cannot read' in capsys.readouterr().err

    (tmp_path / 'list.txt').write_text('2.mp4 5\n0.mp4 7\n')
    options += ['--data-root', str(videos), '--views', '2', '--out', str(tmp_path / 'b.npz')]
    main([checkpoint, str(tmp_path / 'list.txt'), *options])
    again = np.load(tmp_path / 'b.npz')
    assert again['labels'].tolist() == [5, 7]
    np.testing.assert_allclose(again['features'], found['features'][[2, 0]], atol=1e-5)
    main([checkpoint, str(videos / '2.mp4'), *options])  # one video
    again = np.load(tmp_path / 'b.npz')
    np.testing.assert_allclose(again['features'], found['features'][2:], atol=1e-5)
    with pytest.raises(SystemExit, match=r'nothing.txt is no folder of videos, no video and no li'):
        main([checkpoint, str(tmp_path / 'nothing.txt'), *options])


def test_features_of_windows(tool, checkpoint, make_clip, tmp_path, capsys):
    videos = tmp_path / 'videos'
    (videos / 'sub').mkdir(parents=True)
    for name in ('a.mp4', 'sub/b.mp4'):
        make_clip(videos / name, num_frames=40)
    (videos / 'c.mp4').write_bytes(b'')
    main = tool('extract_features.py').main
    options = ['--frame-interval', '2', '--stride', '8']
    main([checkpoint, str(videos), *options, '--out', str(tmp_path / 'out')])
    said = capsys.readouterr()
    assert 'features of 2 of 3 videos' in said.out and 'c.mp4' in said.err
    assert np.load(tmp_path / 'out/sub/b.npy').shape == (4, 32)
    (tmp_path / 'list.txt').write_text('a.mp4\n')
    options += ['--data-root', str(videos), '--spatial', '--suffix', '.npz']
    main([checkpoint, str(tmp_path / 'list.txt'), *options, '--out', str(tmp_path / 'maps')])
    assert np.load(tmp_path / 'maps/a.npz')['feats'].shape == (4, 4, 4, 32)
    with pytest.raises(SystemExit, match='holds features of output='):
        main([checkpoint, str(videos), '--stride', '8', '--out', str(tmp_path / 'maps')])
