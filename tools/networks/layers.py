"""What the vision and text transformers share."""
import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image


def norm(w, name, x, eps):
    return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], eps)


def linear(w, name, x, bias=True):
    return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"] if bias else None)


def heads(x, n):
    """[..., tokens, n * d] to [..., n, tokens, d]."""
    return x.unflatten(-1, (n, -1)).transpose(-2, -3)


def attend(q, k, v):
    """softmax(q k / sqrt(d)) v of all heads, joined again; no mask."""
    return (torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), -1) @ v).transpose(-2, -3).flatten(-2)


def clip_block(w, name, x, head_count, activation):
    """A block of CLIP's under OpenAI's names, in vision and in text."""
    y = norm(w, f"{name}.ln_1", x, 1e-5)
    q, k, v = F.linear(y, w[f"{name}.attn.in_proj_weight"], w[f"{name}.attn.in_proj_bias"]).chunk(3, -1)
    x = x + linear(w, f"{name}.attn.out_proj", attend(*(heads(t, head_count) for t in (q, k, v))))
    y = norm(w, f"{name}.ln_2", x, 1e-5)
    return x + linear(w, f"{name}.mlp.c_proj", activation(linear(w, f"{name}.mlp.c_fc", y)))


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


def load_pixels(path, size):
    """A picture as 8-bit RGB, resized by Pillow without regard to its aspect ratio: uint8 [size, size, 3]."""
    picture = Image.open(path).convert("RGB")
    return np.asarray(picture.resize((size, size), Image.BICUBIC))


def normalised(pixels, mean, std, dtype):
    """uint8 [h, w, 3] to [3, h, w]."""
    x = torch.from_numpy(pixels.copy()).to(dtype) / 255
    return ((x - torch.tensor(mean, dtype=dtype)) / torch.tensor(std, dtype=dtype)).permute(2, 0, 1)
