"""LiZAD in plain PyTorch: DINOv3 under Hugging Face's names or Meta's, MobileCLIP2-S0's text tower, and the head."""
import math

import torch
import torch.nn.functional as F

from checkpoints.lizad import LAYERS
from checkpoints.state import find
from . import text
from .layers import attend, heads, linear, load_pixels, norm, normalised, unit
from .weights import Weights

SIZE, HEAD_WIDTH, THETA, EPS, LEAKY_SLOPE, LOGIT_SCALE = 518, 64, 100.0, 1e-5, 0.01, 100.0
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class HuggingFace:
    """facebook/dinov3-vits16-pretrain-lvd1689m as transformers has it."""

    marker = "embeddings.register_tokens"
    cls_token, registers = "embeddings.cls_token", "embeddings.register_tokens"
    patches, scales, mlp = "embeddings.patch_embeddings", ("layer_scale1.lambda1", "layer_scale2.lambda1"), ("mlp.up_proj",
                                                                                                             "mlp.down_proj")
    block, output = "layer", "attention.o_proj"

    @staticmethod
    def qkv(w, name, x):
        return (linear(w, f"{name}.attention.q_proj", x), linear(w, f"{name}.attention.k_proj", x, bias=False),
                linear(w, f"{name}.attention.v_proj", x))


class Meta:
    """dinov3_vits16_pretrain_lvd1689m.pth as facebookresearch/dinov3 has it: one layer for q, k and v, whose bias is masked."""

    marker = "storage_tokens"
    cls_token, registers = "cls_token", "storage_tokens"
    patches, scales, mlp = "patch_embed.proj", ("ls1.gamma", "ls2.gamma"), ("mlp.fc1", "mlp.fc2")
    block, output = "blocks", "attn.proj"

    @staticmethod
    def qkv(w, name, x):
        bias = w.split(f"{name}.attn.qkv.bias", 3)
        if f"{name}.attn.qkv.bias_mask" in w:
            bias = bias * w[f"{name}.attn.qkv.bias_mask"]
        return F.linear(x, w.split(f"{name}.attn.qkv.weight", 3), bias).chunk(3, -1)


def rotary(rows, columns, width, dtype):
    """cos and sin [rows * columns, width]; quarters of y, x, y, x over the same frequencies."""
    frequency = THETA ** -(torch.arange(width // 4, dtype=torch.float64) * 4 / width)
    y = 2 * (torch.arange(rows, dtype=torch.float64) + 0.5) / rows - 1
    x = 2 * (torch.arange(columns, dtype=torch.float64) + 0.5) / columns - 1
    y = (2 * math.pi * y[:, None] * frequency)[:, None].expand(-1, columns, -1)
    x = (2 * math.pi * x[:, None] * frequency)[None].expand(rows, -1, -1)
    angle = torch.cat([y, x, y, x], -1).flatten(0, 1)
    return angle.cos().to(dtype), angle.sin().to(dtype)


def rotate(x, cos, sin, prefix):
    """Tokens after the prefix, [heads, tokens, width], turned by their positions."""
    still, patches = x[:, :prefix], x[:, prefix:]
    first, second = patches.chunk(2, -1)
    return torch.cat([still, patches * cos + torch.cat([-second, first], -1) * sin], 1)


def vision(w, names, x, taps):
    """[3, size, size] to the residual stream after each of the blocks that are run."""
    kernel = w[f"{names.patches}.weight"]
    width, patch = kernel.shape[0], kernel.shape[2]
    count = max(1, width // HEAD_WIDTH)
    grid = x.shape[1] // patch, x.shape[2] // patch
    tokens = F.conv2d(x[None], kernel, w[f"{names.patches}.bias"], stride=patch)[0].flatten(1).T
    taps["vision.patch_embed"] = tokens[None]
    registers = w[names.registers][0]
    x = torch.cat([w[names.cls_token].reshape(1, width), registers, tokens])
    taps["vision.tokens"] = x[None]
    prefix = 1 + len(registers)
    cos, sin = taps["rope.cos"], taps["rope.sin"] = rotary(*grid, width // count, x.dtype)
    hidden = []
    for i in range(max(LAYERS)):
        name = f"{names.block}.{i}"
        y = norm(w, f"{name}.norm1", x, EPS)
        q, k, v = (heads(t, count) for t in names.qkv(w, name, y))
        q, k = rotate(q, cos, sin, prefix), rotate(k, cos, sin, prefix)
        a = linear(w, f"{name}.{names.output}", attend(q, k, v))
        x = x + w[f"{name}.{names.scales[0]}"] * a
        m = linear(w, f"{name}.{names.mlp[1]}", F.gelu(linear(w, f"{name}.{names.mlp[0]}", norm(w, f"{name}.norm2", x, EPS))))
        x = x + w[f"{name}.{names.scales[1]}"] * m
        if i == 0:
            taps.update({"vision.block0.norm1": y[None], "vision.block0.q": q[None], "vision.block0.k": k[None],
                         "vision.block0.attention": a[None], "vision.block0.mlp": m[None]})
        taps[f"vision.hidden{i + 1}"] = x[None]
        hidden.append(x)
    return hidden, prefix, grid


def adapt(w, name, x):
    return F.leaky_relu(linear(w, f"{name}.adapter.0", x), LEAKY_SLOPE)


def head(w, hidden, prefix, grid, normal, abnormal, size, taps):
    t = torch.stack([adapt(w, "positive_text_adapter", normal), adapt(w, "negative_text_adapter", abnormal)])
    taps["head.positive_text_adapter"], taps["head.negative_text_adapter"] = t
    maps, scores = [], []
    for i, layer in enumerate(LAYERS):
        patches = adapt(w, f"patch_adapter.{i}", hidden[layer - 1][prefix:])
        whole = adapt(w, f"cls_adapter.{i}", hidden[layer - 1][:1])
        logits = (LOGIT_SCALE * unit(patches) @ t.T).T.unflatten(1, grid)
        taps.update({f"head.patch_adapter.{i}": patches[None], f"head.cls_adapter.{i}": whole, f"head.logits.{i}": logits})
        maps.append(F.interpolate(logits[None], size=(size, size), mode="bilinear", align_corners=True)[0].softmax(0)[1])
        scores.append(LOGIT_SCALE * unit(whole[0]) @ t.T)
    taps["head.map"], taps["head.global"] = sum(maps) / len(maps), sum(scores) / len(scores)


def run(found, image, word, **how):
    """Taps of a picture and a class, of three checkpoints."""
    names = HuggingFace if find(found["dinov3"], HuggingFace.marker) else Meta
    w = Weights(found["dinov3"], names.marker, **how)
    taps = {}
    normal, abnormal = text.embed_class(Weights(found["mobileclip"], "text.token_embedding.weight", **how), word)
    taps["text.normal"], taps["text.abnormal"] = normal, abnormal
    pixels = normalised(load_pixels(image, SIZE), MEAN, STD, w.dtype)
    taps["input"] = pixels[None]
    hidden, prefix, grid = vision(w, names, pixels, taps)
    taps["vision.cls"] = torch.stack([hidden[layer - 1][0] for layer in LAYERS])[None]
    head(Weights(found["head"], "positive_text_adapter.adapter.0.weight", **how), hidden, prefix, grid, normal, abnormal, SIZE,
         taps)
    return taps
