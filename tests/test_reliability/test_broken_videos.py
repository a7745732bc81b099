import pytest
from mmengine.structures import BaseDataElement
from support.scripted import Numbers, make_runner

from mmmae_st.engine.hooks.broken_videos import BrokenVideosHook, TooManyBrokenVideosError


def run(folder, failures, videos=20, epochs=1, **args):
    hook = dict(type='BrokenVideosHook', interval=4, **args)
    runner = make_runner(
        folder, dataset=Numbers(videos, failures), epochs=epochs,
        hooks=dict(checkpoint=None, broken_videos=hook),
    )  # fmt: skip
    lines = []
    for level in ('warning', 'info'):
        setattr(runner.logger, level, lines.append)
    try:
        runner.train()
    finally:
        run.lines = [line for line in lines if 'read' in line]
    return runner


def failures(*indices, cause='no video stream'):
    return {index: [(f'bad_{index}.mp4', cause)] for index in indices}


def test_each_bad_file_is_named_once_with_its_cause_and_counted_each_epoch(tmp_path):
    run(tmp_path, failures(3, 7), epochs=3)
    named = sorted(line for line in run.lines if line.startswith('Cannot read'))
    assert named == [f'Cannot read bad_{index}.mp4: no video stream' for index in (3, 7)]
    counts = [line for line in run.lines if line.startswith('Epoch')]
    assert len(counts) == 3
    for epoch, line in enumerate(counts, 1):
        assert line.startswith(f'Epoch {epoch}: 2 samples were replaced')
        assert '2 of 22 videos tried are broken' in line


def test_the_list_is_written_and_a_resumed_run_adds_to_it(tmp_path):
    list_file = tmp_path / 'broken_videos.txt'
    run(tmp_path, failures(3))
    assert list_file.read_text() == 'bad_3.mp4\tno video stream\n'
    hook = BrokenVideosHook(interval=1)
    runner = make_runner(tmp_path, dataset=Numbers(8, failures(3, 5, cause='a\tb\nc')))
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner.train_loop._iter = 1
    hook.before_train(runner)
    for index in range(8):
        sample = runner.train_dataloader.dataset[index]['data_samples']
        hook.after_train_iter(runner, 0, dict(data_samples=[sample]))
    assert list_file.read_text() == 'bad_3.mp4\tno video stream\nbad_5.mp4\ta b c\n'


def test_a_name_that_is_no_text_can_be_listed(tmp_path):
    name = b'bad\xff\n.mp4'.decode('utf-8', 'surrogateescape')
    run(tmp_path, {1: [(name, 'no video stream')]})
    assert (tmp_path / 'broken_videos.txt').read_text() == 'bad\\udcff .mp4\tno video stream\n'


def test_a_quarter_is_allowed_and_more_is_not(tmp_path):
    run(tmp_path / 'quarter', failures(*range(5)), videos=15)  # 5 of 20 tried
    with pytest.raises(TooManyBrokenVideosError, match=r'6 of 21 .*max_share=0.25.*bad_0\.mp4'):
        run(tmp_path / 'more', failures(*range(6)), videos=15)


def test_a_large_set_stops_within_the_epoch_a_small_one_at_its_end(tmp_path):
    bad = failures(*range(200))
    with pytest.raises(TooManyBrokenVideosError, match='of 104 videos'):
        run(tmp_path / 'large', bad, videos=200)
    with pytest.raises(TooManyBrokenVideosError, match='of 400 videos'):
        run(tmp_path / 'small', bad, videos=200, min_videos=1000)


def test_one_cause_for_many_samples_counts_once(tmp_path):
    same = {index: [('bad.mp4', 'empty')] for index in range(8)}
    run(tmp_path, same, videos=10)
    assert '8 samples were replaced' in run.lines[-1] and '1 of 11 videos' in run.lines[-1]


@pytest.mark.parametrize('stage', ['val', 'test'])
def test_black_frames_are_counted_in_evaluation(tmp_path, stage):
    hook = BrokenVideosHook(max_share=0.25)
    runner = make_runner(tmp_path, dataset=Numbers(8, failures(3)))
    lines = []
    runner.logger.warning = lines.append
    hook.before_train_epoch(runner)
    of_training = hook._counts

    def evaluate(*broken):
        getattr(hook, f'before_{stage}_epoch')(runner)
        for index in range(8):
            path = f'{index}.mp4'
            noted = [(path, 'empty')] if index in broken else []
            sample = BaseDataElement(metainfo=dict(path=path, failures=noted))
            getattr(hook, f'after_{stage}_iter')(runner, index, dict(data_samples=[sample]))
        getattr(hook, f'after_{stage}_epoch')(runner, metrics={})

    evaluate()
    assert not lines
    evaluate(1, 2)
    assert lines[:2] == [f'Cannot read {index}.mp4: empty' for index in (1, 2)]
    assert '2 of 8 videos could not be read: the metrics are those of black' in lines[2]
    assert hook._counts is of_training
    with pytest.raises(TooManyBrokenVideosError, match='3 of 8 videos'):
        evaluate(1, 2, 3)


@pytest.mark.parametrize('args', [dict(max_share=1.5), dict(min_videos=0), dict(interval=0)])
def test_bad_arguments_are_named(args):
    with pytest.raises(ValueError, match=next(iter(args))):
        BrokenVideosHook(**args)
