"""EdgeZSAD in plain PyTorch: TinyViT, and the EdgeGLR readout on it.

Parameter names are those of the model file: `vision.` and timm's, `head.glr.` and the readout's. Activations are channels-last,
[batch, height, width, channels]; seen as NCHW by a permutation that moves nothing, they are what cuDNN likes best.

A `tap` is called with the name and value of intermediate results; by default nobody listens.
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F


def nobody(name, value):
    """The tap that does not listen."""


class ConvNorm(nn.Module):
    """Convolution without bias, padding (k - 1) / 2, then BatchNorm."""

    def __init__(self, inputs, outputs, kernel, stride=1, groups=1, eps=1e-5):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps)

    def forward(self, x):
        return self.bn(self.conv(x.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)


class PatchEmbed(nn.Module):
    def __init__(self, v):
        super().__init__()
        self.conv1 = ConvNorm(3, v.dims[0] // 2, 3, stride=2, eps=v.batch_norm_eps)
        self.conv2 = ConvNorm(v.dims[0] // 2, v.dims[0], 3, stride=2, eps=v.batch_norm_eps)

    def forward(self, x, tap=nobody):
        x = F.gelu(self.conv1(x))
        tap("patch_embed.act", x)
        x = self.conv2(x)
        tap("patch_embed", x)
        return x


class MbConv(nn.Module):
    """Inverted residual; the activation comes after the sum."""

    def __init__(self, v):
        super().__init__()
        dim, hidden = v.dims[0], v.dims[0] * v.expand_ratio
        self.conv1 = ConvNorm(dim, hidden, 1, eps=v.batch_norm_eps)
        self.conv2 = ConvNorm(hidden, hidden, 3, groups=hidden, eps=v.batch_norm_eps)
        self.conv3 = ConvNorm(hidden, dim, 1, eps=v.batch_norm_eps)

    def forward(self, x, name, tap=nobody):
        y = F.gelu(self.conv1(x))
        y = F.gelu(self.conv2(y))
        x = F.gelu(self.conv3(y) + x)
        tap(name, x)
        return x


class PatchMerging(nn.Module):
    """Halves the map: 1x1, depthwise 3x3 with stride 2, 1x1; no activation at the end."""

    def __init__(self, inputs, outputs, eps):
        super().__init__()
        self.conv1 = ConvNorm(inputs, outputs, 1, eps=eps)
        self.conv2 = ConvNorm(outputs, outputs, 3, stride=2, groups=outputs, eps=eps)
        self.conv3 = ConvNorm(outputs, outputs, 1, eps=eps)

    def forward(self, x):
        return self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))


class WindowAttention(nn.Module):
    """Attention inside square windows, with a learnt bias for each head and each distance (|dy|, |dx|).

    Maps that are not whole windows are filled with zeros at the bottom and the right *before* the LayerNorm; these tokens take
    part as keys and values and are cut away afterwards. The rows of `qkv` are grouped by head: q, k, v of head 0, then of head 1.
    """

    def __init__(self, dim, heads, window, eps):
        super().__init__()
        self.heads, self.window = heads, window
        self.norm = nn.LayerNorm(dim, eps)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))
        y, x = torch.arange(window * window) // window, torch.arange(window * window) % window
        slots = (y[:, None] - y).abs() * window + (x[:, None] - x).abs()
        self.register_buffer("slots", slots, persistent=False)
        self.crops = False                                                    # whether smaller maps are crops of larger ones

    def forward(self, x):
        batch, height, width, dim = x.shape
        w, d, slots = self.window, dim // self.heads, self.slots
        if self.crops and height < w:
            slots = slots.reshape(w, w, w, w)[:height, :height, :height, :height].reshape(height ** 2, height ** 2)
            w = height
        down, right = -height % w, -width % w
        rows, columns = (height + down) // w, (width + right) // w
        y = F.pad(x, (0, 0, 0, right, 0, down))
        y = y.reshape(batch, rows, w, columns, w, dim).transpose(2, 3).reshape(-1, w * w, dim)
        q, k, v = self.qkv(self.norm(y)).reshape(-1, w * w, self.heads, 3, d).permute(3, 0, 2, 1, 4)
        y = attend(q, k, v, self.attention_biases[:, slots])
        y = self.proj(y.transpose(1, 2).reshape(-1, w * w, dim))
        y = y.reshape(batch, rows, columns, w, w, dim).transpose(2, 3).reshape(batch, height + down, width + right, dim)
        return y[:, :height, :width]


def attend(q, k, v, bias):
    """softmax(q k / sqrt(d) + bias) v; q, k, v [windows, heads, tokens, d], bias [heads, tokens, tokens]."""
    if q.is_cuda and hasattr(F, "scaled_dot_product_attention"):              # torch 2: never holds the whole score matrix
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None].expand(q.shape[0], -1, -1, -1))
    return torch.softmax((q / math.sqrt(q.shape[-1])) @ k.transpose(-1, -2) + bias, -1) @ v


class Mlp(nn.Module):
    def __init__(self, dim, ratio, eps):
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps)
        self.fc1 = nn.Linear(dim, ratio * dim)
        self.fc2 = nn.Linear(ratio * dim, dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(self.norm(x))))


class TinyVitBlock(nn.Module):
    """Attention with a residual, a depthwise convolution without one, an MLP with one."""

    def __init__(self, v, stage):
        super().__init__()
        dim = v.dims[stage]
        self.attn = WindowAttention(dim, v.heads[stage], v.windows[stage], v.layer_norm_eps)
        self.local_conv = ConvNorm(dim, dim, 3, groups=dim, eps=v.batch_norm_eps)
        self.mlp = Mlp(dim, v.mlp_ratio, v.layer_norm_eps)

    def forward(self, x, name, tap=nobody):
        x = x + self.attn(x)
        tap(name + ".after_attn", x)
        x = self.local_conv(x)
        tap(name + ".after_local_conv", x)
        x = x + self.mlp(x)
        tap(name, x)
        return x


class Stage(nn.Module):
    def __init__(self, v, stage):
        super().__init__()
        self.name = f"stages.{stage}"
        if stage:
            self.downsample = PatchMerging(v.dims[stage - 1], v.dims[stage], v.batch_norm_eps)
        self.blocks = nn.ModuleList((TinyVitBlock(v, stage) if stage else MbConv(v)) for _ in range(v.depths[stage]))

    def forward(self, x, tap=nobody):
        if hasattr(self, "downsample"):
            x = self.downsample(x)
            tap(self.name + ".downsample", x)
        for i, block in enumerate(self.blocks):
            x = block(x, f"{self.name}.blocks.{i}", tap)
        tap(self.name, x)
        return x


class TinyVit(nn.Module):
    """Normalised images [batch, size, size, 3] -> the maps of the four stages."""

    def __init__(self, v):
        super().__init__()
        self.patch_embed = PatchEmbed(v)
        self.stages = nn.ModuleList(Stage(v, s) for s in range(4))

    def forward(self, x, tap=nobody):
        x, maps = self.patch_embed(x, tap), []
        for stage in self.stages:
            x = stage(x, tap)
            maps.append(x)
        return maps


class Scorer(nn.Module):
    """LayerNorm and one linear unit."""

    def __init__(self, dim, eps):
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps)
        self.fc = nn.Linear(dim, 1)
        nn.init.normal_(self.fc.weight, std=0.02)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x, name, tap=nobody):
        x = self.norm(x)
        tap(name + ".norm", x)
        return self.fc(x)[..., 0]


class Fusion(nn.Module):
    def __init__(self):
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1))


class EdgeGlr(nn.Module):
    """The readout: a global ranking logit g, a map A of local logits, and s = g + alpha * mean of the largest of A."""

    def __init__(self, v):
        super().__init__()
        self.topk = v.topk
        self.add_module("global", Scorer(v.dims[v.global_stage], v.layer_norm_eps))
        self.add_module("local", Scorer(v.dims[v.local_stage], v.layer_norm_eps))
        self.fusion = Fusion()

    def forward(self, local, pool, tap=nobody):
        """local [batch, h, w, m], pool [batch, n] -> s [batch], g [batch], A [batch, h, w]."""
        g = getattr(self, "global")(pool, "global", tap)
        a = getattr(self, "local")(local, "local", tap)
        l = a.flatten(1).topk(self.topk).values.mean(1)
        s = g + self.fusion.alpha * l
        tap("global.logit", g)
        tap("local.logits", a)
        tap("local.topk", l)
        tap("score.logit", s)
        tap("score", torch.sigmoid(s))
        return s, g, a


class EdgeZsad(nn.Module):
    """Backbone and readout. `features` is all that is costly; it can be kept where the backbone is frozen."""

    def __init__(self, variant):
        super().__init__()
        self.variant = variant
        self.vision = TinyVit(variant)
        self.head = nn.ModuleDict({"glr": EdgeGlr(variant)})

    def features(self, pixels, tap=nobody):
        """uint8 pixels [batch, size, size, 3] -> map of the local stage [batch, h, w, m], mean of the global one [batch, n]."""
        v, weight = self.variant, self.head.glr.fusion.alpha
        mean, std = weight.new_tensor(v.mean), weight.new_tensor(v.std)
        x = (pixels.to(weight.dtype) / 255 - mean) / std
        tap("input", x.permute(0, 3, 1, 2))
        maps = self.vision(x, tap)
        pool = maps[v.global_stage].mean((1, 2))
        tap("global.pool", pool)
        return maps[v.local_stage], pool

    def see_crops(self, crops):
        """Whether pictures smaller than the image size are crops: windows then end where the map does, nothing is filled up."""
        for module in self.modules():
            if isinstance(module, WindowAttention):
                module.crops = crops

    def forward(self, pixels, tap=nobody):
        return self.head.glr(*self.features(pixels, tap), tap)

    def tensors(self):
        """What a model file holds, by name: the state without BatchNorm's counters."""
        return {k: t for k, t in self.state_dict().items() if not k.endswith("num_batches_tracked")}


@torch.no_grad()
def begin(model):
    """Puts in the weights from which a backbone learns from nothing: PyTorch's own, but for the depthwise convolutions of the
    blocks, which have no residual around them. They begin near the identity, or a token would hardly know its own place."""
    for module in model.vision.modules():
        if isinstance(module, TinyVitBlock):
            module.local_conv.conv.weight.mul_(0.3)[:, 0, 1, 1] += 1


def upsample(logits, height, width):
    """Local logits [batch, h, w] -> [batch, height, width], bilinear with half-pixel centres."""
    return F.interpolate(logits[:, None], size=(height, width), mode="bilinear", align_corners=False)[:, 0]
