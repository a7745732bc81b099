from mmmae_st.evaluation.monitor_reading import diagnosis, summary_line

GOOD = dict(
    loss=0.31, loss_mean=0.9, loss_nearest=0.8, loss_previous=0.43, rank=90.0, rank_centred=143.2,
    lidar=20.0, wasted=0.0, similarity=0.9, retrieval=0.84, order=0.93, arrow=0.71, speed=0.88,
)  # fmt: skip


def test_the_line_says_what_a_person_can_act_on():
    before = dict(GOOD, rank_centred=120.0)
    assert summary_line([before, GOOD], 384, 64) == (
        'features: rank 143 of 384, rising; same video nearest 84 %; order of halves 93 %; arrow '
        'of time 71 %; speed 88 % (chance 50); loss 0.31 against 0.9 for the mean and 0.43 for '
        'copying the frame before; 64 videos'
    )
    assert 'rank 143 of 384; ' in summary_line([GOOD], 384, 64)
    assert ', steady; ' in summary_line([GOOD, GOOD], 384, 64)
    assert ', falling; ' in summary_line([GOOD, before], 384, 64)
    labelled = summary_line([dict(GOOD, knn=0.3, linear=0.5)], 384, 64)
    assert labelled.endswith('frame before; knn 30 %; linear 50 %; 64 videos')
    assert summary_line([dict(loss=float('nan'))], 384, 64) == 'features: not finite; loss nan'


def test_collapse_is_named():
    assert diagnosis([GOOD]) is None
    for sign, text in (
        (dict(wasted=0.7), '70% of their directions'),
        (dict(rank_centred=1.4), 'effective rank is 1.4'),
        (dict(similarity=0.99999), 'cosine of different videos is 0.99999'),
    ):
        kind, reason = diagnosis([GOOD, dict(GOOD, **sign)])
        assert kind == 'collapse' and text in reason
    assert diagnosis([GOOD, dict(loss=float('nan'))])[0] == 'collapse'


def test_features_that_tell_videos_apart_no_more_have_collapsed():
    lost = dict(GOOD, retrieval=0.1, rank_centred=30.0)
    kind, reason = diagnosis([GOOD, lost, lost])
    assert kind == 'collapse' and '10%, and was for 84%; their effective rank fell' in reason
    assert diagnosis([GOOD, lost]) is None  # it may come back
    assert diagnosis([GOOD, lost, dict(lost, retrieval=0.6)]) is None


def test_directions_that_were_lost_from_the_start_are_no_collapse():
    narrow = dict(GOOD, wasted=0.7)
    assert diagnosis([narrow, narrow]) is None


def test_stalling_is_named_after_some_measurements():
    stuck = dict(GOOD, loss=0.85)
    assert diagnosis([stuck] * 3) is None
    kind, reason = diagnosis([stuck] * 4)
    assert kind == 'stall' and '0.85, is no better than 0.8 ' in reason
    falling = [dict(GOOD, loss=loss) for loss in (1.2, 1.1, 1.0, 0.95)]
    assert diagnosis(falling) is None
    assert diagnosis([GOOD] * 10) is None  # as low as it gets
