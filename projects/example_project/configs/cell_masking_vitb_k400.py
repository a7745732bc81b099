# ViT-B on Kinetics-400 with one visible token in each cell of 2 x 2 x 2.
_base_ = '../../../configs/mae_st_vitb_k400.py'

custom_imports = dict(imports=['projects.example_project.cell_masking'], allow_failed_imports=False)
pipeline = _base_.train_pipeline
pipeline[3] = dict(type='CellMasking', cell=(2, 2, 2))
train_dataloader = dict(dataset=dict(pipeline=pipeline))
