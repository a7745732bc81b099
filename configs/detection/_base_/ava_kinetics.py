# AVA-Kinetics: as AVA 2.2, with the annotated Kinetics-700 clips in the training list and their
# frames below data/ava_kinetics/rawframes/ID_START_END/. Both lists as mmaction2 prepares them.
_base_ = 'ava22.py'

data_root = 'data/ava_kinetics/rawframes'
anno_root = 'data/ava_kinetics/annotations'

train_dataloader = dict(
    dataset=dict(
        type='AVAKineticsDataset',
        ann_file=f'{anno_root}/ava_train_v2.2.csv',
        exclude_file=f'{anno_root}/ava_train_excluded_timestamps_v2.2.csv',
        label_file=f'{anno_root}/ava_action_list_v2.2_for_activitynet_2019.pbtxt',
        proposal_file=f'{anno_root}/ava_dense_proposals_train.FAIR.recall_93.9.pkl',
        data_prefix=dict(img=data_root),
    )
)
val_dataloader = dict(
    dataset=dict(
        type='AVAKineticsDataset',
        ann_file=f'{anno_root}/ava_val_v2.2.csv',
        exclude_file=f'{anno_root}/ava_val_excluded_timestamps_v2.2.csv',
        label_file=f'{anno_root}/ava_action_list_v2.2_for_activitynet_2019.pbtxt',
        proposal_file=f'{anno_root}/ava_dense_proposals_val.FAIR.recall_93.9.pkl',
        data_prefix=dict(img=data_root),
    )
)
test_dataloader = val_dataloader

val_evaluator = dict(
    ann_file=f'{anno_root}/ava_val_v2.2.csv',
    exclude_file=f'{anno_root}/ava_val_excluded_timestamps_v2.2.csv',
    label_file=f'{anno_root}/ava_action_list_v2.2_for_activitynet_2019.pbtxt',
)
test_evaluator = val_evaluator
