"""Config of the demo's RTMDet-Ins for MMDetection, small enough to train on two CPU cores.

A three-stage CSPNeXt with a quarter of the channels of RTMDet-l, with strides 4 to 16, for objects
of 10 to 60 pixels in frames of 160 x 120. Its classes are the 14 classes of objects on the table.
It has no base file and uses no pretrained weights.
"""

frame_size = (160, 120)
classes = (
    *("sports ball", "banana", "scissors", "bowl", "cup", "vase", "apple"),
    *("cell phone", "mouse", "handbag", "potted plant", "toaster", "book", "bottle"),
)
channels = 48
layers = dict(norm_cfg=dict(type="BN"), act_cfg=dict(type="SiLU", inplace=True))

model = dict(
    type="RTMDet",
    data_preprocessor=dict(
        type="DetDataPreprocessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_mask=True,
        pad_size_divisor=16,
    ),
    backbone=dict(
        type="CSPNeXt",
        arch_ovewrite=[  # input and output channels, blocks, shortcuts, spatial pyramid pooling
            [64, 128, 3, True, False],
            [128, 256, 6, True, False],
            [256, 512, 6, False, True],
        ],
        out_indices=(1, 2, 3),
        deepen_factor=0.167,
        widen_factor=0.25,
        init_cfg=None,
        **layers,
    ),
    neck=dict(
        type="CSPNeXtPAFPN",
        in_channels=[32, 64, 128],
        out_channels=channels,
        num_csp_blocks=1,
        **layers,
    ),
    bbox_head=dict(
        type="RTMDetInsSepBNHead",
        num_classes=len(classes),
        in_channels=channels,
        feat_channels=channels,
        stacked_convs=2,
        share_conv=True,
        pred_kernel_size=1,
        anchor_generator=dict(type="MlvlPointGenerator", offset=0, strides=[4, 8, 16]),
        bbox_coder=dict(type="DistancePointBBoxCoder"),
        loss_cls=dict(type="QualityFocalLoss", use_sigmoid=True, beta=2.0, loss_weight=1.0),
        loss_bbox=dict(type="GIoULoss", loss_weight=2.0),
        loss_mask=dict(type="DiceLoss", loss_weight=2.0, eps=5e-6, reduction="mean"),
        **layers,
    ),
    train_cfg=dict(
        assigner=dict(type="DynamicSoftLabelAssigner", topk=13),
        allowed_border=-1,
        pos_weight=-1,
        debug=False,
    ),
    test_cfg=dict(
        nms_pre=300,
        min_bbox_size=0,
        score_thr=0.05,
        nms=dict(type="nms", iou_threshold=0.6),
        max_per_img=50,
        mask_thr_binary=0.5,
    ),
)

test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=frame_size, keep_ratio=True),
    dict(
        type="PackDetInputs",
        meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
    ),
]
test_dataloader = dict(dataset=dict(metainfo=dict(classes=classes), pipeline=test_pipeline))
