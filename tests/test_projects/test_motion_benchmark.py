import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import binom
from support import runs

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from mmmae_st.registry import MODELS, TRANSFORMS  # noqa: E402
from projects.motion_benchmark import (  # noqa: E402
    clips,
    compute,
    finetuning,
    measure,
    plan,
    pretraining,
    recording,
    redundancy,
    report,
    runner,
    scenes,
    study,
)
from projects.motion_benchmark.scales import SCALES  # noqa: E402

CLASSES = len(scenes.CLASSES)


@pytest.fixture(scope='module')
def small_set(tmp_path_factory):
    folder = tmp_path_factory.mktemp('motion')
    return clips.make_set(folder, clips.ClipSet(480, 16, 320, num_frames=4, size=32), workers=2)


@pytest.fixture
def site(small_set, tmp_path):
    return runner.Site(SCALES['smoke'], small_set, tmp_path)


def test_an_observer_of_the_motion_is_always_right():
    for i in range(40 * CLASSES):
        poses = scenes.draw_poses(i % CLASSES, 8 + i % 9, np.random.default_rng(i))
        assert scenes.classify_poses(poses) == i % CLASSES, scenes.CLASSES[i % CLASSES]


def test_poses_at_a_frame_are_alike_in_all_classes():
    def spread(label, frame):
        parts = []
        for i in range(400):
            poses = scenes.draw_poses(label, 8, np.random.default_rng((label, frame, i)))
            parts.append(
                [
                    *poses.centre[frame] / scenes.PERIOD,
                    *poses.angle[frame] / (2 * np.pi),
                    poses.size[frame],
                    poses.carousel[frame] / (2 * np.pi),
                ]
            )
        return np.stack(parts)

    for label in range(CLASSES):
        for frame in (0, 7):
            counts = np.stack([np.histogram(c, 4, (0, 1))[0] for c in spread(label, frame).T])
            # 100 expected with a deviation of 8.7; 4.5 deviations, for 768 counts.
            assert np.abs(counts - 100).max() < 39, (scenes.CLASSES[label], frame)


def fit_and_test(train, test, rng):
    """Right answers of a ridge classifier of single frames, and of how many."""

    def features(frames):
        frames = frames.astype(np.float64).reshape(-1, 8, 4, 8, 4, 3) / 255
        means, gray = frames.mean(axis=(2, 4)), frames.mean(axis=5)
        flat = [means.reshape(len(frames), -1), gray.std(axis=(2, 4)).reshape(len(frames), -1)]
        flat = np.concatenate(flat, axis=1)
        return np.concatenate([flat, flat**2, np.ones((len(flat), 1))], axis=1)

    labels = np.arange(len(train)) % CLASSES
    shown = features(train.reshape(-1, *train.shape[2:]))
    targets = np.eye(CLASSES)[np.repeat(labels, train.shape[1])]
    weights = np.linalg.solve(shown.T @ shown + 5 * np.eye(shown.shape[1]), shown.T @ targets)
    one = test[np.arange(len(test)), rng.integers(test.shape[1], size=len(test))]
    guesses = (features(one) @ weights).argmax(axis=1)
    return int((guesses == np.arange(len(test)) % CLASSES).sum()), len(test)


def test_a_single_frame_is_at_chance(small_set):
    train, test = np.load(small_set / 'train.npy'), np.load(small_set / 'test.npy')
    assert train.shape == (480, 4, 32, 32, 3)
    right, total = fit_and_test(train, test, np.random.default_rng(0))
    # Without any knowledge, so many or more are right once in 10 000 times: 36 of 320, 11 %.
    bound = binom.ppf(1 - 1e-4, total, 1 / CLASSES)
    assert right <= bound

    # The same classifier finds a tint of a few grey levels that tells the class.
    for frames in (train, test):
        for i, clip in enumerate(frames):
            clip[:, : 2 * (i % CLASSES) + 1, :8] //= 2
    right, total = fit_and_test(train, test, np.random.default_rng(0))
    assert right > bound


def test_files_depend_on_the_settings_alone(tmp_path):
    tiny = clips.ClipSet(16, 16, 16, num_frames=4, size=16)
    one, two = (clips.make_set(tmp_path / n, tiny, workers=w) for n, w in (('a', 1), ('b', 2)))
    files = sorted(path.relative_to(one) for path in one.rglob('*') if path.is_file())
    assert Counter(f.suffix for f in files) == {'.mp4': 48, '.txt': 3, '.npy': 3, '.json': 1}
    for file in files:
        assert (one / file).read_bytes() == (two / file).read_bytes(), file

    lost = one / 'train' / 'clip_00003.mp4'
    before = lost.read_bytes()
    lost.unlink()
    clips.make_set(one, tiny, workers=1)
    assert lost.read_bytes() == before
    with pytest.raises(ValueError, match='folder must be empty or hold the same set'):
        clips.make_set(one, clips.ClipSet(16, 16, 16, num_frames=4, size=16, seed=1), workers=1)


def test_no_photograph_is_in_two_splits(monkeypatch):
    seen = {}
    load = scenes.load_texture
    for split in scenes.TEXTURES:
        names = seen[split] = set()
        monkeypatch.setattr(scenes, 'load_texture', lambda n, s=names: s.add(n) or load(n))
        for i in range(12):
            scenes.draw_clip(i, split, 4, 16, np.random.default_rng(i))
    assert seen['train'] and seen['val'] and seen['test']
    assert (
        not seen['train'] & seen['val'] | seen['train'] & seen['test'] | seen['val'] & seen['test']
    )


@pytest.mark.parametrize(
    ('args', 'name'),
    [
        (dict(num_train=8), 'num_train'),
        (dict(num_test=17), 'num_test'),
        (dict(appearances=True), 'multiple of 256'),
        (dict(size=15), 'size'),
        (dict(num_frames=3), 'num_frames'),
        (dict(blur=-0.5), 'blur'),
        (dict(seed=-1), 'seed'),
    ],
)
def test_bad_settings_are_named(args, name):
    with pytest.raises(ValueError, match=name):
        clips.ClipSet(**{**dict(num_train=16, num_val=16, num_test=16), **args})


def test_redundancy_is_known_for_simple_clips():
    rng = np.random.default_rng(0)
    tiles = rng.integers(256, size=(6, 2, 3, 3)).astype(np.uint8).repeat(4, 1).repeat(4, 2)
    found = redundancy.clip_redundancy(tiles, 4)
    assert found['patch'] == 0
    assert found['copy1'] > 1  # new colours in each frame
    still = np.broadcast_to(rng.integers(256, size=(8, 8, 3)).astype(np.uint8), (6, 8, 8, 3))
    found = redundancy.clip_redundancy(still, 1)
    assert found == dict(patch=0, copy1=0, copy2=0)
    assert 0.9 < redundancy.clip_redundancy(still, 8)['patch'] <= 1
    with pytest.raises(ValueError, match='patch_size must divide 8x8, got 3'):
        redundancy.clip_redundancy(still, 3)
    with pytest.raises(ValueError, match='frames must be at least 3, got 2'):
        redundancy.clip_redundancy(still[:2], 8)


def test_redundancy_of_a_folder_is_printed(small_set):
    program = [sys.executable, ROOT / 'projects' / 'motion_benchmark' / 'redundancy.py']
    options = ['--size', '32', '--patch-size', '8', '--clip-len', '4', '--most', '10']
    done = subprocess.run(
        [*program, small_set / 'test', *options], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith('10 videos') and done.stdout.count('±') == 3, done.stdout


def test_blur_leaves_less_within_a_patch(tmp_path):
    def within(blur):
        file = tmp_path / f'{blur}.mp4'
        settings = clips.ClipSet(16, 16, 16, num_frames=4, size=32, blur=blur)
        clips.make_clip(file, 0, 'train', settings)
        return redundancy.clip_redundancy(clips.read_clip(str(file)), 8)['patch']

    assert within(2.5) < 0.8 * within(0.0)


def test_frames_in_memory_are_those_of_the_file(small_set, record):
    path = small_set / 'test' / 'clip_00005.mp4'
    ours = TRANSFORMS.build(
        dict(type='LoadFrames', frames=str(small_set / 'test.npy'), clip_len=4, num_clips=2)
    )
    theirs = TRANSFORMS.build(dict(type='LoadClips', clip_len=4, frame_interval=1, num_clips=2))
    got, expected = ours(record(path, epoch=1)), theirs(record(path, epoch=1))
    np.testing.assert_array_equal(got['frame_inds'], expected['frame_inds'])
    np.testing.assert_array_equal(np.stack(got['clips']), np.stack(expected['clips']))

    still = TRANSFORMS.build(
        dict(type='LoadFrames', frames=str(small_set / 'test.npy'), clip_len=4, still=True)
    )
    found = [still(record(path, epoch=e)) for e in range(12)]
    assert all(len(set(f['frame_inds'][0].tolist())) == 1 for f in found)
    assert {f['frame_inds'][0, 0] for f in found} == {0, 1, 2, 3}


def test_labels_are_balanced_and_drawn_by_seed():
    scale = SCALES['smoke']
    picked = [finetuning.pick_labelled(scale, 5, seed) for seed in (0, 0, 1)]
    assert picked[0] == picked[1] != picked[2]
    assert set(Counter(i % CLASSES for i in picked[0]).values()) == {5}
    with pytest.raises(ValueError, match='labels must be within'):
        finetuning.pick_labelled(scale, 21, 0)


@pytest.mark.parametrize('name', sorted(SCALES))
def test_every_entry_can_be_built_at_every_scale(name, tmp_path):
    scale = SCALES[name]
    site = runner.Site(scale, tmp_path, tmp_path)
    assert set(scale.questions) <= {q.name for q in study.QUESTIONS}
    assert {entry.question for entry in study.STUDY} == {q.name for q in study.QUESTIONS}
    assert len({(e.question, e.row) for e in study.STUDY}) == len(study.STUDY)
    measurements = {m for entry in study.STUDY for m in entry.measurements}
    for measurement in measurements:
        assert measurement.labels == study.ALL or measurement.labels in scale.finetune
    for options in {m.pretraining for m in measurements} - {None}:
        cfg = pretraining.pretraining_config(site, options, 0)
        with torch.device('meta'):
            MODELS.build({k: v for k, v in cfg.model.items() if k != 'data_preprocessor'})
    assert compute.equal_compute_epochs(site, study.DEFAULT, 20) > scale.finetune[20].epochs


def test_equal_compute_is_equal(site):
    epochs = compute.equal_compute_epochs(site, study.DEFAULT, 20)
    step, whole = compute.multiply_adds(site, study.DEFAULT)
    scale = site.scale
    both = step * scale.pretrain.epochs * scale.clips.num_train
    both += whole * scale.finetune[20].epochs * 20 * CLASSES
    assert 0 <= whole * epochs * 20 * CLASSES - both < whole * 20 * CLASSES


def test_what_is_done_or_taken_is_not_done_again(site, monkeypatch):
    calls = []
    monkeypatch.setattr('gc.collect', lambda: 0)  # a good part of a second in this process
    monkeypatch.setattr(measure, 'pretrain', lambda site, options, seed, path: path.touch())
    monkeypatch.setattr(measure, '_measure', lambda *args: calls.append(args) or dict(accuracy=0.5))
    jobs = [(m, seed) for entry in study.STUDY for m in entry.measurements for seed in (0, 1)]
    with measure._lock(measure.result_file(site, jobs[0])) as is_mine:
        assert is_mine and not measure._try(site, jobs[0]) and not calls
    measure.carry_out(site, [jobs])
    assert len(calls) == len(set(jobs)) < len(jobs)
    measure.carry_out(site, [jobs])
    assert len(calls) == len(set(jobs))


def test_a_row_that_would_not_end_in_time_is_not_begun(site, monkeypatch):
    monkeypatch.setattr(measure, '_measure', lambda *args: dict(accuracy=0.5))
    long, short = (study.Measurement('finetune', None, labels) for labels in (5, 20))
    rows = [[(long, 0)], [(short, 0)]]
    seconds = {(long, 0): 61.0, (short, 0): 30.0}
    expected = lambda jobs: sum(seconds[job] for job in jobs)  # noqa: E731
    measure.carry_out(site, rows, minutes=1.0, expected=expected)
    assert [measure.read_result(site, job) is not None for [job] in rows] == [False, True]


def test_plan_counts_what_is_not_there_yet(site, monkeypatch):
    scale, pace = site.scale, plan.Pace(pretraining=1.0, classifier=0.5, start=2.0)
    ours = plan.Plan(site, pace)
    tuned = study.Measurement('finetune', study.DEFAULT)
    test = plan.FORWARD * 0.5 / 32 * scale.clips.num_test
    of_tuning = 2 + test + 0.5 / 32 * 20 * CLASSES
    of_pretraining = 2 + 4 * 5 * 1.0  # 4 epochs of 5 steps
    assert ours.seconds([(tuned, 0)]) == pytest.approx(of_pretraining + of_tuning)
    assert ours.seconds([(tuned, 0)] * 2) == pytest.approx(of_pretraining + 2 * of_tuning)
    cheaper = study.Measurement('finetune', pretraining.Pretraining(ratio=0.9))
    assert ours.seconds([(cheaper, 0)]) == pytest.approx(of_pretraining + of_tuning)
    dearer = study.Measurement('finetune', pretraining.Pretraining(ratio=0.5))
    assert ours.seconds([(dearer, 0)]) > of_pretraining + of_tuning

    rows = [(e, s) for e in study.STUDY if e.question == 'compute' for s in (0, 1)]
    text = ours.table(rows, minutes=1.0)
    assert 'a step takes 1000 ms in pretraining and 500 ms in fine-tuning' in text
    assert 'not begun' in text and 'done' not in text
    checkpoint = measure.checkpoint_file(site, study.DEFAULT, 0)
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    assert ours.seconds([(tuned, 0)]) == pytest.approx(of_tuning)
    result = measure.result_file(site, (tuned, 0))
    result.parent.mkdir(parents=True, exist_ok=True)
    result.write_text(json.dumps(dict(metrics=dict(accuracy=0.5))))
    assert 'done' in ours.table(rows, minutes=1.0)


def test_pace_is_that_of_the_steps(site, monkeypatch):
    class Record:
        times = [0.0, 5.0, 6.0, 7.0, 8.5, 9.5, 10.5, 11.5]

    monkeypatch.setattr(plan, 'run_training', lambda cfg: (None, Record()))
    pace = plan.measure_pace(site)
    assert pace.pretraining == pace.classifier == 1.0 and pace.start == 0.0


def test_weights_are_kept_along_a_pretraining(site, monkeypatch):
    kept = []
    monkeypatch.setattr(recording, 'save_weights', lambda runner, path: kept.append(path.name))

    class Runner:
        max_iters = 20

    hook = recording.SnapshotHook(Path('a/name.pth'))
    for Runner.iter in range(20):
        hook.after_train_iter(Runner, 0)
    assert kept == ['name_0.25.pth', 'name_0.50.pth', 'name_0.75.pth']
    assert recording.snapshot_file(Path('a/name.pth'), 1.0) == Path('a/name.pth')


def test_two_sets_of_labels_tell_nothing_of_each_other():
    both = Counter(
        (clips.label_of(i, 'motion'), clips.label_of(i, 'appearance')) for i in range(512)
    )
    assert len(both) == CLASSES * len(scenes.PHOTOGRAPHS) and set(both.values()) == {4}
    for i in range(300):
        assert (
            scenes.THINGS[clips.thing_of(i)][0]
            == scenes.PHOTOGRAPHS[clips.label_of(i, 'appearance')]
        )
    picked = finetuning.pick_labelled(SCALES['tokens'], 20, 0, 'appearance')
    found = Counter(clips.label_of(i, 'appearance') for i in picked)
    assert set(found.values()) == {20} and len(found) == len(scenes.PHOTOGRAPHS)


def test_what_moves_is_cut_from_the_photograph_of_its_class(monkeypatch):
    names = []
    load = scenes.load_texture
    monkeypatch.setattr(scenes, 'load_texture', lambda name: names.append(name) or load(name))
    for thing in (0, 5, 15):
        names.clear()
        scenes.draw_clip(3, 'test', 4, 16, np.random.default_rng(thing), thing)
        assert names[0] in scenes.BACKGROUNDS and names[1:] == [scenes.THINGS[thing][0]] * 2
    assert not set(scenes.BACKGROUNDS) & set(scenes.PHOTOGRAPHS)


def test_report_says_what_was_not_run(site, tmp_path):
    for entry, accuracy in zip(study.STUDY[:2], (0.25, 0.5), strict=True):
        path = measure.result_file(site, (entry.measurements[0], 0))
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(dict(metrics=dict(accuracy=accuracy))))
    report.write_report(site, tmp_path / 'out', 'smoke')
    results = json.loads((tmp_path / 'out' / 'results.json').read_text())
    assert results['rows'][0]['metrics']['accuracy'] == dict(values=[0.25], mean=0.25, std=None)
    asked = {q.name for q in study.QUESTIONS if not q.needs_appearances}  # as of these clips
    assert {row['question'] for row in results['rows']} == asked
    text = (tmp_path / 'out' / 'results.md').read_text()
    assert f'| {study.STUDY[1].row} | 50.0 | 0 |' in text
    assert f'| {study.STUDY[2].row} |  | not run |' in text
    assert text.count('Not run.') == len(asked) - 1
    assert [p.name for p in (tmp_path / 'out').glob('*.png')] == ['labels.png']


def test_cells_of_the_table():
    metric = dict(mean=0.5, std=0.0123)
    assert report.cell(metric, True) == '50.0 ± 1.2'
    assert report.cell(dict(mean=2.345, std=None), False) == '2.35'
    assert report.cell(None, True) == ''


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_smoke_scale_runs_and_goes_on(tmp_path):
    script = 'projects/motion_benchmark/run.py'
    argv = ['--scale', 'smoke', '--data-root', tmp_path / 'data', '--work-dir', tmp_path / 'work']
    argv += ['--out', tmp_path / 'out']
    run = runs.fork(script, argv, tmp_path / 'said')
    assert run.wait(600) == [0], run.output()
    results = json.loads((tmp_path / 'out' / 'results.json').read_text())
    asked = SCALES['smoke'].questions
    for row in results['rows']:
        assert row['metrics'] or row['question'] not in asked, row
        for name, metric in row['metrics'].items():
            assert 0 <= metric['mean'] < 1000, (name, row)
            if name in dict(report.shares()):
                assert metric['mean'] <= 1, (name, row)
    for question in asked:
        with Image.open(tmp_path / 'out' / f'{question}.png') as image:
            assert np.asarray(image).std() > 10

    files = {path: path.stat().st_mtime_ns for path in (tmp_path / 'work').rglob('*.json')}
    results = [path for path in files if path.parent.name == 'results']
    lost = min(results, key=lambda path: json.loads(path.read_text())['seconds'])
    lost.unlink()
    run = runs.fork(script, argv, tmp_path / 'said')
    assert run.wait(250) == [0], run.output()
    changed = [p for p, t in files.items() if p.stat().st_mtime_ns != t and 'results/' in str(p)]
    assert changed == [lost]
