"""Keep the scores of all classes, where MMDetection's heads keep only the score of the predicted
class, and the probabilities of masks before they are pasted. Methods of the heads are wrapped:
predicted instances have an additional field, `class_scores`.

Axes: N detections or R proposals of an image, C classes.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from orn.shared.masks.validate import ScoreKind
from orn.stage1_detect.mmdet.model import (
    BBoxHead,
    FCNMaskHead,
    InstanceData,
    MaskFormerFusionHead,
    RTMDetInsHead,
    Segmenter,
    class_head,
    multiclass_nms,
)


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
    """Mask2Former: keep the softmax scores of each mask's query."""
    process = head.instance_postprocess

    def with_scores(logits_QC1: Tensor, masks_QHW: Tensor) -> Any:
        results = process(logits_QC1, masks_QHW)
        scores_QC = logits_QC1.softmax(-1)[:, :-1]
        most = head.test_cfg.get("max_per_image", 100)
        pairs_N = scores_QC.flatten().topk(most, sorted=False).indices
        pairs_N = pairs_N[pairs_N % head.num_classes < head.num_things_classes]
        results.class_scores = scores_QC[pairs_N // head.num_classes]
        return results

    head.instance_postprocess = with_scores


def keep_mask_probabilities(model: Segmenter) -> float:
    """Make mask heads return (N, m, m) float32 probabilities in the boxes as masks, instead of
    (N, H, W) masks of the whole frame. Heads with a method of their own are not changed.

    Returns:
        The minimum probability of an object's pixel.
    """
    roi_head: Any = getattr(model, "roi_head", None)
    heads = getattr(roi_head, "mask_head", None)
    threshold = float(((roi_head and roi_head.test_cfg) or {}).get("mask_thr_binary", 0.5))
    listed: Any = heads if isinstance(heads, torch.nn.ModuleList) else [heads]
    for head in listed:
        own: Any = getattr(type(head), "_predict_by_feat_single", None)
        if own is FCNMaskHead._predict_by_feat_single and threshold >= 0:
            head._predict_by_feat_single = _probabilities_of(head)
    return threshold


def _probabilities_of(head: Any) -> Callable[..., Tensor]:
    def probabilities(
        *,
        mask_preds: Tensor,
        bboxes: Tensor,
        labels: Tensor,
        img_meta: dict[str, Any],
        activate_map: bool,
        **_: Any,
    ) -> Tensor:
        bboxes /= bboxes.new_tensor(img_meta["scale_factor"]).repeat((1, 2))  # in place, as there
        masks_NCmm = torch.as_tensor(mask_preds, device=bboxes.device)
        if not activate_map:
            masks_NCmm = masks_NCmm.sigmoid()
        if head.class_agnostic:
            return masks_NCmm[:, 0]
        return masks_NCmm[torch.arange(len(labels), device=labels.device), labels]

    return probabilities


def use_half_precision(model: Segmenter) -> None:
    """Make a model run the backbone, the neck and the layers of the RPN head in bfloat16. All other
    layers stay in float32: bfloat16 cannot represent all pixel coordinates above 256."""
    model.to(memory_format=torch.channels_last)
    model.extract_feat = _in_half_precision(model.extract_feat)
    rpn_head: Any = getattr(model, "rpn_head", None)
    if rpn_head is not None:
        rpn_head.forward = _in_half_precision(rpn_head.forward)


def _in_half_precision(method: Callable[..., Any]) -> Callable[..., Any]:
    def half(inputs: Any) -> Any:
        if isinstance(inputs, Tensor):
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        tensor = inputs if isinstance(inputs, Tensor) else inputs[0]
        with torch.autocast(tensor.device.type, torch.bfloat16):
            results = method(inputs)
        return _in_float32(results)

    return half


def _in_float32(results: Any) -> Any:
    if isinstance(results, Tensor):
        return results.float().contiguous()
    if isinstance(results, list | tuple):
        return type(results)(map(_in_float32, results))
    return results
