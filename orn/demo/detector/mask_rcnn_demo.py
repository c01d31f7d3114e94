"""Config of the demo's Mask R-CNN for MMDetection, small enough to train on two CPU cores.

ResNet-18 with 16 base channels and an FPN of 48 channels with strides 4 to 32, for objects of 10 to
60 pixels in frames of 160 x 120. It has the 80 COCO classes of the default detector, and
class-agnostic boxes and masks, because there are only a few thousand training frames. It has no
base file and uses no pretrained weights.
"""

frame_size = (160, 120)
num_classes = 80
channels = 48
norm_cfg = dict(type="BN", requires_grad=True)
roi_extractor = dict(
    type="SingleRoIExtractor",
    out_channels=channels,
    featmap_strides=[4, 8, 16],
    finest_scale=24,
)
coder = dict(type="DeltaXYWHBBoxCoder", target_means=[0.0] * 4)
proposal = dict(nms=dict(type="nms", iou_threshold=0.7), min_bbox_size=0)

model = dict(
    type="MaskRCNN",
    data_preprocessor=dict(
        type="DetDataPreprocessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,
    ),
    backbone=dict(
        type="ResNet",
        depth=18,
        base_channels=16,
        norm_cfg=norm_cfg,
    ),
    neck=dict(
        type="FPN",
        in_channels=[16, 32, 64, 128],
        out_channels=channels,
        num_outs=4,
        norm_cfg=norm_cfg,
    ),
    rpn_head=dict(
        type="RPNHead",
        in_channels=channels,
        feat_channels=channels,
        anchor_generator=dict(
            type="AnchorGenerator", scales=[3.5], ratios=[0.5, 1.0, 2.0], strides=[4, 8, 16, 32]
        ),
        bbox_coder=dict(coder, target_stds=[1.0, 1.0, 1.0, 1.0]),
    ),
    roi_head=dict(
        type="StandardRoIHead",
        bbox_roi_extractor=dict(
            roi_extractor, roi_layer=dict(type="RoIAlign", output_size=7, sampling_ratio=1)
        ),
        bbox_head=dict(
            type="Shared2FCBBoxHead",
            in_channels=channels,
            fc_out_channels=128,
            roi_feat_size=7,
            num_classes=num_classes,
            bbox_coder=dict(coder, target_stds=[0.1, 0.1, 0.2, 0.2]),
            reg_class_agnostic=True,
        ),
        mask_roi_extractor=dict(
            roi_extractor, roi_layer=dict(type="RoIAlign", output_size=14, sampling_ratio=1)
        ),
        mask_head=dict(
            type="FCNMaskHead",
            num_convs=2,
            in_channels=channels,
            conv_out_channels=32,
            num_classes=num_classes,
            class_agnostic=True,
        ),
    ),
    train_cfg=None,
    test_cfg=dict(
        rpn=dict(proposal, nms_pre=200, max_per_img=100),
        rcnn=dict(
            score_thr=0.05,
            nms=dict(type="nms", iou_threshold=0.5),
            max_per_img=50,
            mask_thr_binary=0.5,
        ),
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
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
