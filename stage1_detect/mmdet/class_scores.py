"""Keep the scores of all classes, where MMDetection's heads keep only the score of the predicted
class. Methods of a model's head are wrapped, so that predicted instances have an additional field,
`class_scores`. The other fields do not change.

Axes: N detections or R proposals of an image, C classes.
"""

from copy import copy
from typing import Any

from torch import Tensor

from orn.shared.masks.rules import ScoreKind
from orn.stage1_detect.mmdet.library import (
    BBoxHead,
    InstanceData,
    MaskFormerFusionHead,
    RTMDetInsHead,
    Segmenter,
    SOLOHead,
    SOLOV2Head,
    multiclass_nms,
)
from orn.stage1_detect.mmdet.model import class_head

MOST_CANDIDATES = 1000
"""Maximum number of (cell, class) pairs for which SOLO predicts masks. Each mask has the size of
the frame, and MMDetection limits the number of objects only later."""


def keep_class_scores(model: Segmenter) -> ScoreKind:
    """Make a model add the scores of all classes to its instances, as `class_scores` (N, C).

    Returns:
        The kind of scores: `softmax` (without the background), `sigmoid`, or `label` for an
        unsupported head, which is not changed.
    """
    head = class_head(model)
    if isinstance(head, MaskFormerFusionHead):
        _keep_of_queries(head)
        return "softmax"
    if isinstance(head, RTMDetInsHead):
        _keep_of_cells(head)
        return "sigmoid"
    has_usual_boxes = isinstance(head, BBoxHead) and (
        type(head)._predict_by_feat_single is BBoxHead._predict_by_feat_single
    )
    if has_usual_boxes and not head.loss_cls.use_sigmoid:
        _keep_of_proposals(head)
        return "softmax"
    return "label"


def _keep_of_proposals(head: Any) -> None:
    """Two-stage models: keep the softmax scores of each box's proposal."""
    predict = head._predict_by_feat_single

    def with_scores(*, rcnn_test_cfg: Any, **given: Any) -> Any:
        proposed = predict(rcnn_test_cfg=None, **given)
        boxes_N5, labels_N, pairs_N = multiclass_nms(
            proposed.bboxes,
            proposed.scores,
            rcnn_test_cfg.score_thr,
            rcnn_test_cfg.nms,
            rcnn_test_cfg.max_per_img,
            return_inds=True,
        )
        # The index counts (proposal, class) pairs, class fastest.
        scores_NC = proposed.scores[pairs_N // head.num_classes, : head.num_classes]
        return InstanceData(
            bboxes=boxes_N5[:, :-1],
            scores=boxes_N5[:, -1],
            labels=labels_N,
            class_scores=scores_NC,
        )

    head._predict_by_feat_single = with_scores


def _keep_of_cells(head: Any) -> None:
    """RTMDet: keep the sigmoid scores of the cell whose kernel predicted each mask."""
    predict, finish = head._predict_by_feat_single, head._bbox_mask_post_process
    logits_CHW: list[Tensor] = []

    def remember(*, cls_score_list: list[Tensor], **given: Any) -> Any:
        logits_CHW[:] = cls_score_list
        return predict(cls_score_list=cls_score_list, **given)

    def with_scores(*, results: Any, **given: Any) -> Any:
        generator = head.prior_generator
        scores_NC = results.scores.new_zeros((len(results.scores), head.num_classes))
        for level_CHW, (stride, _) in zip(logits_CHW, generator.strides, strict=True):
            is_of_level_N = results.priors[:, 2] == stride
            places_n2 = results.priors[is_of_level_N, :2] / stride - generator.offset
            column_n, row_n = places_n2.round().long().unbind(1)
            scores_NC[is_of_level_N] = level_CHW[:, row_n, column_n].T.sigmoid()
        results.class_scores = scores_NC
        return finish(results=results, **given)

    head._predict_by_feat_single, head._bbox_mask_post_process = remember, with_scores


def _keep_of_queries(head: Any) -> None:
    """Mask2Former and MaskFormer: keep the softmax scores of each mask's query."""
    process = head.instance_postprocess

    def with_scores(logits_QC1: Tensor, masks_QHW: Tensor) -> Any:
        found = process(logits_QC1, masks_QHW)
        scores_QC = logits_QC1.softmax(-1)[:, :-1]
        most = head.test_cfg.get("max_per_image", 100)
        pairs_N = scores_QC.flatten().topk(most, sorted=False).indices
        pairs_N = pairs_N[pairs_N % head.num_classes < head.num_things_classes]
        found.class_scores = scores_QC[pairs_N // head.num_classes]
        return found

    head.instance_postprocess = with_scores


def limit_candidates(model: Segmenter) -> None:
    """Make SOLO predict masks only for the `MOST_CANDIDATES` best (cell, class) pairs."""
    head = getattr(model, "mask_head", None)
    if not isinstance(head, SOLOHead):
        return
    predict, place = head._predict_by_feat_single, int(isinstance(head, SOLOV2Head))

    def of_best(*tensors: Tensor, **given: Any) -> Any:
        scores_RC, settings = tensors[place], copy(head.test_cfg)
        if scores_RC.numel() > MOST_CANDIDATES:
            least = scores_RC.flatten().topk(MOST_CANDIDATES + 1).values[-1]
            settings.score_thr = max(settings.score_thr, least.item())
        return predict(*tensors, **given, cfg=settings)

    head._predict_by_feat_single = of_best
