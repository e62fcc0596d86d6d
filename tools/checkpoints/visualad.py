"""VisualAD's two checkpoints to the names of `visualad.safetensors` (tests/reference/visualad/SPEC.md, sections 5 and 8)."""
import math
import re

import torch

from edgezsad.errors import UserError
from .lizad import CLIP_BLOCK
from .state import find, not_found, require

PUBLISHED = {"ViT-L/14@336px": "clip-vit-l-14-336", "ViT-L/14": "clip-vit-l-14", "ViT-B/16": "clip-vit-b-16",
             "ViT-B/32": "clip-vit-b-32"}
CLIP_NAMES = {(1024, 14, 24): "clip-vit-l-14-336", (1024, 14, 16): "clip-vit-l-14", (768, 16, 14): "clip-vit-b-16",
              (768, 32, 7): "clip-vit-b-32"}
DINOV2_NAMES = {(384, 14): "dinov2-vit-s-14", (768, 14): "dinov2-vit-b-14", (1024, 14): "dinov2-vit-l-14"}
CLIP_PIXELS = ("0.48145466,0.4578275,0.40821073", "0.26862954,0.26130258,0.27577711")
IMAGENET_PIXELS = ("0.485,0.456,0.406", "0.229,0.224,0.225")
DINOV2_HUGGING_FACE = {
    "cls_token": "embeddings.cls_token", "pos_embed": "embeddings.position_embeddings",
    "register_tokens": "embeddings.register_tokens",
    "patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
    "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
    "norm.weight": "layernorm.weight", "norm.bias": "layernorm.bias"}
DINOV2_BLOCK = {
    "norm1.weight": "norm1.weight", "norm1.bias": "norm1.bias", "attn.proj.weight": "attention.output.dense.weight",
    "attn.proj.bias": "attention.output.dense.bias", "ls1.gamma": "layer_scale1.lambda1", "norm2.weight": "norm2.weight",
    "norm2.bias": "norm2.bias", "mlp.fc1.weight": "mlp.fc1.weight", "mlp.fc1.bias": "mlp.fc1.bias",
    "mlp.fc2.weight": "mlp.fc2.weight", "mlp.fc2.bias": "mlp.fc2.bias", "ls2.gamma": "layer_scale2.lambda1"}
SCA = ("anchor_queries", "pos_encoding", "q_proj.weight", "k_proj.weight", "v_proj.weight", "out_proj.weight", "out_proj.bias",
       "q_norm.weight", "q_norm.bias", "k_norm.weight", "k_norm.bias", "gate.0.weight", "gate.0.bias", "res_scale")


def convert(backbone, is_dinov2, head, trained_norm=False):
    """(name -> tensor, metadata) of two checkpoints."""
    tensors, name, width = (dinov2 if is_dinov2 else clip)(backbone, trained_norm)
    check_settings(head, name)
    own, layers, state = visualad(head)
    tensors.update(own)
    if trained_norm:
        norm = "vision.norm" if is_dinov2 else "vision.ln_post"
        tensors.update({f"{norm}.{leaf}": state.take(f"ln_post_{leaf}") for leaf in ("weight", "bias")})
    mean, std = IMAGENET_PIXELS if is_dinov2 else CLIP_PIXELS
    size = head.values.get("image_size")
    return tensors, {
        "format": "tinyzsad", "format_version": "1", "model": "visualad", "backbone": name,
        "image_size": str(size if type(size) is int else 518), "features_list": ",".join(map(str, layers)),
        "heads": str(max(1, width // 64)), "mean": mean, "std": std, "sigma": "4", "topk_ratio": "0.01",
        "ln_post": "checkpoint" if trained_norm else "backbone", "source": f"{backbone.source()}, {head.source()}"}


def check_settings(head, backbone):
    """Settings that would make another graph than the engine's."""
    for key, value in (("token_insert_layer", 0), ("transform_type", "mlp"), ("cross_attn_config.apply_to_layer24", True)):
        if head.values.get(key, value) != value:
            raise UserError(f"{head.path}: its '{key}' is '{head.values[key]}'; only '{value}' is known")
    if PUBLISHED.get(head.values.get("backbone"), backbone) != backbone:
        raise UserError(f"{head.path}: it was trained on {head.values['backbone']}, and the backbone given is {backbone}")


def visualad(checkpoint):
    """VisualAD's own part, the layers that it reads, and its state."""
    state = require(checkpoint, "VisualAD", "anomaly_token")

    def layers(module):
        found = (re.fullmatch(r"layer_(\d{1,5})", name[len(module):].split(".")[0], re.ASCII) for name in state.below(module))
        return {int(match[1]) for match in found if match}
    transforms, attentions = layers("layer_transforms."), layers("cross_attn.layer_attentions.")
    features = checkpoint.integers("features_list") or sorted(transforms | attentions)
    if not features:
        raise UserError(f"{checkpoint.path}: it has neither a 'features_list' nor any 'layer_transforms'")
    names = ["anomaly_token", "normal_token"]
    for layer in features:
        if layer in transforms:
            names += [f"layer_transforms.layer_{layer}.mlp.{leaf}" for leaf in ("0.weight", "0.bias", "3.weight", "3.bias")]
        if attentions:
            names += [f"cross_attn.layer_attentions.layer_{layer}.{leaf}" for leaf in SCA]
    out = {f"head.{name}": state.take(name) for name in names}
    for module in ("layer_transforms.", "cross_attn."):
        state.refuse_others("VisualAD's head", module)
    return out, features, state


def clip(checkpoint, trained_norm):
    """CLIP's vision transformer under OpenAI's names, what it is called, and its width."""
    state = require(checkpoint, "CLIP's vision transformer under OpenAI's names", "visual.conv1.weight")
    names = ["class_embedding", "conv1.weight", "positional_embedding", "ln_pre.weight", "ln_pre.bias"]
    names += [] if trained_norm else ["ln_post.weight", "ln_post.bias"]
    names += [f"transformer.resblocks.{i}.{leaf}" for i in range(max(1, state.count("visual.transformer.resblocks")))
              for leaf in CLIP_BLOCK]
    out = {f"vision.{name}": state.take(f"visual.{name}") for name in names}
    spare = ("visual.proj", "visual.ln_post.weight", "visual.ln_post.bias")
    state.refuse_others("CLIP's vision transformer", "visual.", lambda name: name in spare)
    width, _, patch, _ = state.shape("visual.conv1.weight")
    grid = math.isqrt(state.shape("visual.positional_embedding")[0] - 1)
    return out, CLIP_NAMES.get((width, patch, grid), "clip-vit"), width


def dinov2(checkpoint, trained_norm):
    """DINOv2 under Meta's names or Hugging Face's, what it is called, and its width."""
    state, meta = find(checkpoint, "patch_embed.proj.weight"), True
    if state is None:
        state = find(checkpoint, DINOV2_HUGGING_FACE["patch_embed.proj.weight"], "dinov2.", "dinov2_with_registers.")
        meta = False
    if state is None:
        raise not_found(checkpoint, "DINOv2", "patch_embed.proj.weight' (Meta's name) or '"
                        + DINOV2_HUGGING_FACE["patch_embed.proj.weight"])
    wanted = [name for name in DINOV2_HUGGING_FACE if not (trained_norm and name.startswith("norm."))]
    registers = ("register_tokens" if meta else DINOV2_HUGGING_FACE["register_tokens"]) in state
    if not registers:
        wanted.remove("register_tokens")
    out = {f"vision.{name}": state.take(name if meta else DINOV2_HUGGING_FACE[name]) for name in wanted}
    for i in range(max(1, state.count("blocks" if meta else "encoder.layer"))):
        for leaf in ("weight", "bias"):
            out[f"vision.blocks.{i}.attn.qkv.{leaf}"] = state.take(f"blocks.{i}.attn.qkv.{leaf}") if meta else torch.cat(
                [state.take(f"encoder.layer.{i}.attention.attention.{part}.{leaf}") for part in ("query", "key", "value")])
        for ours, theirs in DINOV2_BLOCK.items():
            out[f"vision.blocks.{i}.{ours}"] = state.take(f"blocks.{i}.{ours}" if meta else f"encoder.layer.{i}.{theirs}")
    spare = ("mask_token", "embeddings.mask_token", "norm.weight", "norm.bias", "layernorm.weight", "layernorm.bias")
    state.refuse_others("DINOv2 (ViT-S, B or L)", superfluous=lambda name: name in spare)
    width, _, patch, _ = out["vision.patch_embed.proj.weight"].shape
    return out, DINOV2_NAMES.get((width, patch), "dinov2-vit") + ("-reg" if registers else ""), width
