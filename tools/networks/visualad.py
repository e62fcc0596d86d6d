"""VisualAD in plain PyTorch: its head on CLIP under OpenAI's names, or on DINOv2 under Meta's or Hugging Face's."""
import math

import torch
import torch.nn.functional as F

from checkpoints.state import find
from .layers import attend, clip_block, heads, linear, load_pixels, norm, normalised
from .weights import Weights

CLIP_PIXELS = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
IMAGENET_PIXELS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SIGMA, TOP_RATIO, TOKENS = 4.0, 0.01, 3


def quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)


class Clip:
    """OpenAI's CLIP: the positions bilinear, a norm before the first block."""

    pixels, final_norm, eps = CLIP_PIXELS, "visual.ln_post", 1e-5

    def __init__(self, checkpoint, how):
        self.w = Weights(checkpoint, "visual.conv1.weight", **how)

    def embed(self, x, tokens, taps):
        w, kernel = self.w, self.w["visual.conv1.weight"]
        patches = F.conv2d(x[None], kernel, stride=kernel.shape[2])[0]
        positions, side = w["visual.positional_embedding"], patches.shape[1]
        grid = math.isqrt(len(positions) - 1)
        table = positions[1:].T.reshape(1, -1, grid, grid)
        if grid != side:
            table = F.interpolate(table, size=(side, side), mode="bilinear", align_corners=False)
        first = torch.stack([*tokens, w["visual.class_embedding"]]) + positions[0]
        taps["embed"] = torch.cat([first, (patches + table[0]).flatten(1).T])
        taps["ln_pre"] = norm(w, "visual.ln_pre", taps["embed"], self.eps)
        return taps["ln_pre"]

    def blocks(self, x):
        for i in range(self.w.count("visual.transformer.resblocks")):
            x = clip_block(self.w, f"visual.transformer.resblocks.{i}", x, max(1, x.shape[-1] // 64), quick_gelu)
            yield x


class DinoV2:
    """DINOv2: LayerScale, exact GELU, the positions bicubic. How VisualAD's tokens are put in is our reading (SPEC.md, 8)."""

    pixels, eps = IMAGENET_PIXELS, 1e-6

    def __init__(self, checkpoint, how):
        self.meta = find(checkpoint, "patch_embed.proj.weight") is not None
        self.w = Weights(checkpoint, "patch_embed.proj.weight", **how) if self.meta else \
            Weights(checkpoint, "embeddings.patch_embeddings.projection.weight", "dinov2.", "dinov2_with_registers.", **how)
        self.final_norm = "norm" if self.meta else "layernorm"

    def embed(self, x, tokens, taps):
        w, root = self.w, "" if self.meta else "embeddings."
        patch = "patch_embed.proj" if self.meta else "embeddings.patch_embeddings.projection"
        kernel = w[f"{patch}.weight"]
        patches = F.conv2d(x[None], kernel, w[f"{patch}.bias"], stride=kernel.shape[2])[0]
        positions, side = w["pos_embed" if self.meta else "embeddings.position_embeddings"][0], patches.shape[1]
        registers = w[f"{root}register_tokens"][0] if f"{root}register_tokens" in w else None
        grid = math.isqrt(len(positions) - 1)
        table = positions[1:].T.reshape(1, -1, grid, grid)
        if grid != side and registers is None:                                # the published models' own offset of 0.1
            table = F.interpolate(table, scale_factor=(side + 0.1) / grid, mode="bicubic")
        elif grid != side:
            table = F.interpolate(table, size=(side, side), mode="bicubic", antialias=True)
        first = torch.stack([*tokens, w[f"{root}cls_token"].reshape(-1)]) + positions[0]
        taps["embed"] = torch.cat([first, *(() if registers is None else (registers,)), (patches + table[0]).flatten(1).T])
        return taps["embed"]

    def blocks(self, x):
        for i in range(self.w.count("blocks" if self.meta else "encoder.layer")):
            x = self.block(f"blocks.{i}" if self.meta else f"encoder.layer.{i}", x)
            yield x

    def block(self, name, x):
        w, count = self.w, max(1, x.shape[-1] // 64)
        y = norm(w, f"{name}.norm1", x, self.eps)
        if self.meta:
            q, k, v = linear(w, f"{name}.attn.qkv", y).chunk(3, -1)
            output, scales = "attn.proj", ("ls1.gamma", "ls2.gamma")
        else:
            parts = [f"{name}.attention.attention.{part}" for part in ("query", "key", "value")]
            weights, biases = w.joined(tuple(f"{p}.weight" for p in parts)), w.joined(tuple(f"{p}.bias" for p in parts))
            q, k, v = (F.linear(y, weight, bias) for weight, bias in zip(weights, biases))
            output, scales = "attention.output.dense", ("layer_scale1.lambda1", "layer_scale2.lambda1")
        x = x + w[f"{name}.{scales[0]}"] * linear(w, f"{name}.{output}", attend(*(heads(t, count) for t in (q, k, v))))
        y = F.gelu(linear(w, f"{name}.mlp.fc1", norm(w, f"{name}.norm2", x, self.eps)))
        return x + w[f"{name}.{scales[1]}"] * linear(w, f"{name}.mlp.fc2", y)


def adapt(w, name, tokens, features):
    """Spatial-aware cross-attention: both tokens [2, width], adapted by a layer's patches."""
    positions = w[f"{name}.pos_encoding"][0, :len(features)]
    q = norm(w, f"{name}.q_norm", linear(w, f"{name}.q_proj", w[f"{name}.anchor_queries"], bias=False), 1e-5)
    k = norm(w, f"{name}.k_norm", linear(w, f"{name}.k_proj", features + positions, bias=False), 1e-5)
    gathered = torch.softmax(q @ k.T / math.sqrt(k.shape[-1]), -1) @ linear(w, f"{name}.v_proj", features, bias=False)
    gates = torch.sigmoid(linear(w, f"{name}.gate.0", tokens))
    return tokens + w[f"{name}.res_scale"] * linear(w, f"{name}.out_proj", gates @ gathered)


def gaussian(x, sigma):
    """As scipy.ndimage.gaussian_filter: cut at 4 sigma, borders mirrored with the edge repeated."""
    radius = int(4 * sigma + 0.5)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, dtype=x.dtype) / sigma) ** 2)
    kernel = kernel / kernel.sum()
    for axis in (0, 1):
        size = x.shape[axis]
        place = torch.arange(-radius, size + radius) % (2 * size)
        place = torch.where(place < size, place, 2 * size - 1 - place)
        x = x.index_select(axis, place).unfold(axis, 2 * radius + 1, 1) @ kernel
    return x


def run(found, image, trained_norm, **how):
    """Taps of a picture, of two checkpoints."""
    backbone = Clip(found["clip"], how) if found["clip"] else DinoV2(found["dinov2"], how)
    settings, w = found["head"], Weights(found["head"], "anomaly_token", **how)
    size = settings.values.get("image_size", 518)
    transforms = {int(name.split(".")[1][len("layer_"):]) for name in w.state.below("layer_transforms.")}
    attends = bool(w.state.below("cross_attn."))
    layers = settings.integers("features_list") or sorted(transforms)
    taps = {}
    taps["input"] = x = normalised(load_pixels(image, size), *backbone.pixels, w.dtype)
    patch = [backbone.w[name].shape[2] for name in ("visual.conv1.weight", "patch_embed.proj.weight",
                                                    "embeddings.patch_embeddings.projection.weight") if name in backbone.w][0]
    patches = (size // patch) ** 2
    x = backbone.embed(x, (w["anomaly_token"], w["normal_token"]), taps)
    for i, x in enumerate(backbone.blocks(x), 1):
        taps[f"block.{i}"] = x

    def final(x):
        weight, bias = ((w[f"ln_post_{leaf}"] if trained_norm else backbone.w[f"{backbone.final_norm}.{leaf}"])
                        for leaf in ("weight", "bias"))
        return F.layer_norm(x, x.shape[-1:], weight, bias, backbone.eps)
    named = final(x[:TOKENS])
    taps["token.anomaly"], taps["token.normal"], taps["token.class"] = named
    total = 0
    for layer in layers:
        taps[f"features.{layer}"] = features = final(taps[f"block.{layer}"][-patches:])
        tokens = named[:2]
        if attends:
            tokens = adapt(w, f"cross_attn.layer_attentions.layer_{layer}", tokens, features)
        taps[f"sca.{layer}.anomaly"], taps[f"sca.{layer}.normal"] = tokens
        if layer in transforms:
            name = f"layer_transforms.layer_{layer}.mlp"
            taps[f"saf.{layer}"] = features = linear(w, f"{name}.3", F.gelu(linear(w, f"{name}.0", features)))
        near = F.normalize(features, dim=-1, eps=1e-8) @ F.normalize(tokens, dim=-1, eps=1e-8).T
        side = math.isqrt(patches)
        taps[f"score.{layer}"] = score = (near[:, 0] - near[:, 1]).reshape(side, side)
        total = total + F.interpolate(score[None, None], size=(size, size), mode="bilinear", align_corners=False)[0, 0]
    taps["map.sum"], taps["map.final"] = total, gaussian(total, SIGMA)
    top = max(1, math.ceil(size * size * TOP_RATIO))
    taps["score"] = taps["map.final"].flatten().topk(top).values.mean().reshape(1)
    return taps
