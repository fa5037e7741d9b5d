"""Options that a layer's converter did not ask for: of training, of another function, or of nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoestring.importers.darknet.cfg import Section

# They change what the layer computes, and only this value leaves it as we read it. Names as in src/parser.c of
# github.com/pjreddie/darknet and of its fork github.com/AlexeyAB/darknet.
NEUTRAL: dict[str, str] = {
    "alpha": "1",
    "antialiasing": "0",
    "assisted_excitation": "0",
    "beta": "1",
    "bin_output": "0",
    "binary": "0",
    "coordconv": "0",
    "deform": "0",
    "dontload": "0",
    "dontloadscales": "0",
    "flipped": "0",
    "maxpool_depth": "0",
    "reverse": "0",
    "rotate": "0",
    "scale": "1",
    "scale_wh": "0",
    "share_index": "",
    "spatial": "0",
    "stretch": "0",
    "stretch_sway": "0",
    "sway": "0",
    "tree": "",
    "weights_normalization": "none",
    "weights_type": "none",
    "xnor": "0",
}
# Training, augmentation and what is done after the network; they do not touch the forward pass.
_TRAINING = """
    absolute adam adversarial_lr angle aspect augment_speed b1 b2 batch beta_nms bias_match blur burn_in
    burnin_update class_scale classfix cls_normalizer contrastive coord_scale cost_type counters_per_class
    cutmix decay delta_normalizer dynamic_minibatch ema_alpha embedding_layer eps exposure flip focal_loss gamma
    gaussian_noise grad_centr hue ignore_thresh iou_loss iou_normalizer iou_thresh iou_thresh_kind jitter
    label_smooth_eps learning_rate learning_rate_min letter_box log loss_scale map mask_scale max max_batches
    max_chart_loss max_crop max_delta min_crop mixup momentum mosaic mosaic_bound mosaic_scale nms_kind noadjust
    noloss noobject_scale num_steps obj_normalizer object_scale objectness_smooth onlyforward optimized_memory
    policy power probability random ratio rescore resize resize_step saturation scales seq_scales
    sequential_subdivisions sgdr_cycle sgdr_mult show_details sqrt steps stopbackward stream subdivisions thresh
    time_steps track train truth_thresh try_fix_nan uc_normalizer wait_stream weights_reject_freq
    workspace_size_limit_mb
"""
TRAINING = frozenset(_TRAINING.split())


def check_rest(section: Section) -> list[str]:
    """Notes on the options that nobody asked for.

    Raises:
        ModelError: one that makes the layer another function than the one we wrote.
    """
    notes = []
    for key, option in section.options.items():
        if key in section.read or key in TRAINING:
            continue
        if key not in NEUTRAL:
            notes.append(f"line {option.line}: nobody knows the option {key}= of [{section.kind}]; it is left out")
        elif option.text != NEUTRAL[key]:
            raise section.wrong(
                f"{key}={option.text[:40]} (line {option.line}) is not supported",
                hint="train the network without it, or export it to ONNX from a framework that knows it",
            )
    return notes
