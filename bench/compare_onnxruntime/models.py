"""The three systems' networks in PyTorch, for export: the layers, shapes and order of operations of src/Models, with random weights.

Each takes a normalised picture, [1, 3, side, side], and ends at the logits or scores of the patches, before they are enlarged to a map.
What depends on weights alone is a constant, as it is in src/Models; q, k and v are layers of their own, so that none is copied out of a packed one.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn


def heads_of(x, heads):
    """[b, n, heads * d] as [b, heads, n, d]."""
    b, n, c = x.shape
    return x.view(b, n, heads, c // heads).transpose(1, 2)


class MultiHeadAttention(torch.autograd.Function):
    """softmax(q k' / sqrt d + bias) v, exported as ONNX Runtime's fused operator."""

    @staticmethod
    def forward(ctx, q, k, v, bias, heads):
        scores = heads_of(q, heads) @ heads_of(k, heads).transpose(-2, -1) * (q.shape[-1] // heads) ** -0.5
        if bias is not None:
            scores = scores + bias
        return (scores.softmax(-1) @ heads_of(v, heads)).transpose(1, 2).reshape(q.shape)

    @staticmethod
    def symbolic(g, q, k, v, bias, heads):
        inputs = [q, k, v]
        if bias is not None:
            # Between them stand the projection's bias and a padding mask, which there are not.
            none = g.op("prim::Constant")
            none.setType(torch._C.OptionalType.ofTensor())
            inputs += [none, none, bias]
        return g.op("com.microsoft::MultiHeadAttention", *inputs, num_heads_i=heads).setType(v.type())


class RotaryEmbedding(torch.autograd.Function):
    """Rotary positions by halves, exported as ONNX Runtime's fused operator; cos and sin are [n, d / 2]."""

    @staticmethod
    def forward(ctx, x, start, cos, sin):
        a, b = heads_of(x, x.shape[-1] // (2 * cos.shape[-1])).chunk(2, -1)
        return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).transpose(1, 2).reshape(x.shape)

    @staticmethod
    def symbolic(g, x, start, cos, sin):
        return g.op("com.microsoft::RotaryEmbedding", x, start, cos, sin).setType(x.type())


class Mlp(nn.Module):
    def __init__(self, width, hidden, activation=F.gelu):
        super().__init__()
        self.up, self.down, self.activation = nn.Linear(width, hidden), nn.Linear(hidden, width), activation

    def forward(self, x):
        return self.down(self.activation(self.up(x)))


class Block(nn.Module):
    """A transformer block: DINOv3's with rotary positions and LayerScale, CLIP's without."""

    def __init__(self, width, heads, scaled=False, activation=F.gelu):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.projection = (nn.Linear(width, width) for _ in range(4))
        self.mlp = Mlp(width, 4 * width, activation)
        self.scale1, self.scale2 = (nn.Parameter(torch.full((width,), 0.1)) if scaled else None for _ in range(2))

    def forward(self, x, rotary=None):
        n = self.norm1(x)
        q, k, v = self.q(n), self.k(n), self.v(n)
        if rotary is not None:
            q, k = RotaryEmbedding.apply(q, *rotary), RotaryEmbedding.apply(k, *rotary)
        y = self.projection(MultiHeadAttention.apply(q, k, v, None, self.heads))
        x = x + (y if self.scale1 is None else y * self.scale1)
        y = self.mlp(self.norm2(x))
        return x + (y if self.scale2 is None else y * self.scale2)


class LiZad(nn.Module):
    """DINOv3 ViT-S/16 at 518 (32 x 32 patches) as far as block 11, and the patch adapters of four depths; the class is a constant."""

    side, output = 518, "logits"

    def __init__(self, width=384, heads=6, registers=4, layers=(3, 5, 7, 11), embedding=256):
        super().__init__()
        grid, self.prefix, self.layers = self.side // 16, 1 + registers, layers
        self.patches = nn.Conv2d(3, width, 16, 16)
        self.tokens = nn.Parameter(torch.randn(1, self.prefix, width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, heads, scaled=True) for _ in range(max(layers)))
        self.adapters = nn.ModuleList(nn.Linear(width, embedding) for _ in layers)
        self.text = nn.Parameter(torch.randn(embedding, 2) * embedding ** -0.5)

        quarter = width // heads // 4
        axis = (torch.arange(grid) + 0.5) / grid * 2 - 1
        positions = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).view(grid * grid, 2, 1)
        angles = (2 * math.pi * positions * 100.0 ** (-torch.arange(quarter) / quarter)).flatten(1)
        # The prefix tokens are turned by nothing.
        angles = torch.cat((torch.zeros(self.prefix, angles.shape[1]), angles))
        self.register_buffer("start", torch.zeros(1, dtype=torch.int64))
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, x):
        x = torch.cat((self.tokens, self.patches(x).flatten(2).transpose(1, 2)), 1)
        logits = []
        for depth, block in enumerate(self.blocks, 1):
            x = block(x, (self.start, self.cos, self.sin))
            if depth in self.layers:
                p = F.leaky_relu(self.adapters[len(logits)](x[:, self.prefix:]))
                logits.append(100 * (p / p.norm(dim=-1, keepdim=True)) @ self.text)
        return torch.cat(logits)


def convolution(inputs, outputs, kernel=1, stride=1, groups=1):
    """With its BatchNorm, which the export folds into it."""
    norm = nn.BatchNorm2d(outputs)
    norm.running_mean.normal_(0, 0.05)
    norm.running_var.uniform_(0.8, 1.2)
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False), norm)


class Bottleneck(nn.Module):
    """Pointwise, depthwise, pointwise: PatchMerging, and MBConv with a residual."""

    def __init__(self, inputs, middle, outputs, stride):
        super().__init__()
        self.expand, self.depthwise = convolution(inputs, middle), convolution(middle, middle, 3, stride, middle)
        self.project, self.residual = convolution(middle, outputs), stride == 1

    def forward(self, x):
        y = self.project(F.gelu(self.depthwise(F.gelu(self.expand(x)))))
        return F.gelu(x + y) if self.residual else y


class WindowBlock(nn.Module):
    def __init__(self, width, heads, side, window):
        super().__init__()
        self.width, self.heads, self.side, self.window = width, heads, side, window
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.projection = (nn.Linear(width, width) for _ in range(4))
        self.local, self.mlp = convolution(width, width, 3, groups=width), Mlp(width, 4 * width)
        axis = torch.arange(window)
        cells = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).view(-1, 2)
        distance = (cells[:, None] - cells).abs()
        table = torch.randn(heads, window * window) * 0.1
        self.register_buffer("bias", table[:, distance[..., 0] * window + distance[..., 1]][None])

    def windows(self, x):
        """[1, side², c] as [windows, window², c]."""
        n, w = self.side // self.window, self.window
        return x if n == 1 else x.view(n, w, n, w, -1).transpose(1, 2).reshape(n * n, w * w, -1)

    def whole(self, x):
        """The other way round."""
        n, w = self.side // self.window, self.window
        return x if n == 1 else x.view(n, n, w, w, -1).transpose(1, 2).reshape(1, self.side ** 2, -1)

    def forward(self, x):
        n = self.windows(self.norm1(x))
        y = MultiHeadAttention.apply(self.q(n), self.k(n), self.v(n), self.bias, self.heads)
        x = x + self.whole(self.projection(y))
        x = self.local(x.transpose(1, 2).view(1, self.width, self.side, self.side)).flatten(2).transpose(1, 2)
        return x + self.mlp(self.norm2(x))


class EdgeZsad(nn.Module):
    """TinyViT-21M at 512 and the global-local readout's logits of the patches."""

    side, output = 512, "logits"

    def __init__(self, dims=(96, 192, 384, 576), depths=(2, 2, 6, 2), heads=(3, 6, 12, 18), windows=(16, 16, 32, 16)):
        super().__init__()
        self.stem = nn.ModuleList((convolution(3, dims[0] // 2, 3, 2), convolution(dims[0] // 2, dims[0], 3, 2)))
        self.first = nn.Sequential(*(Bottleneck(dims[0], 4 * dims[0], dims[0], 1) for _ in range(depths[0])))
        self.sides = [self.side // 2 ** (s + 2) for s in range(4)]
        self.downsample = nn.ModuleList(Bottleneck(dims[s - 1], dims[s], dims[s], 2) for s in (1, 2, 3))
        self.stages = nn.ModuleList(
            nn.Sequential(*(WindowBlock(dims[s], heads[s], self.sides[s], windows[s]) for _ in range(depths[s]))) for s in (1, 2, 3))
        self.local_norm, self.local = nn.LayerNorm(dims[2]), nn.Linear(dims[2], 1)
        self.global_norm, self.globally = nn.LayerNorm(dims[3]), nn.Linear(dims[3], 1)

    def forward(self, x):
        x = self.first(self.stem[1](F.gelu(self.stem[0](x))))
        maps = []
        for side, downsample, stage in zip(self.sides[1:], self.downsample, self.stages):
            x = stage(downsample(x).flatten(2).transpose(1, 2))
            maps.append(x)
            x = x.transpose(1, 2).view(1, -1, side, side)
        local = self.local(self.local_norm(maps[1]))
        return torch.cat((local.flatten(), self.globally(self.global_norm(maps[2].mean(1))).flatten()))


class SpatialCrossAttention(nn.Module):
    def __init__(self, width, anchors, patches):
        super().__init__()
        self.anchors = nn.Parameter(torch.randn(anchors, width) * width ** -0.5)
        self.offsets = nn.Parameter(torch.randn(patches, width) * 0.02)
        self.key, self.value = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.key_norm, self.gate, self.out = nn.LayerNorm(width), nn.Linear(width, anchors), nn.Linear(width, width)

    def forward(self, tokens, patches):
        keys = self.key_norm(self.key(patches) + self.offsets)
        gathered = self.value((self.anchors @ keys.transpose(-2, -1)).softmax(-1) @ patches)
        return tokens + 0.1 * self.out(self.gate(tokens).sigmoid() @ gathered)


class VisualAd(nn.Module):
    """CLIP ViT-L/14 at 518 with two learned tokens, and at four depths SCA, SAF and the difference of cosines."""

    side, output = 518, "scores"

    def __init__(self, width=1024, heads=16, depth=24, layers=(6, 12, 18, 24), anchors=4):
        super().__init__()
        count, self.layers = (self.side // 14) ** 2, layers
        self.patches = nn.Conv2d(3, width, 14, 14, bias=False)
        self.tokens = nn.Parameter(torch.randn(1, 3, width) * 0.02)
        self.positions = nn.Parameter(torch.randn(1, count, width) * 0.02)
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.blocks = nn.ModuleList(Block(width, heads, activation=lambda h: h * torch.sigmoid(1.702 * h)) for _ in range(depth))
        self.attention = nn.ModuleList(SpatialCrossAttention(width, anchors, count) for _ in layers)
        self.transform = nn.ModuleList(Mlp(width, width) for _ in layers)

    def forward(self, x):
        x = self.before(torch.cat((self.tokens, self.patches(x).flatten(2).transpose(1, 2) + self.positions), 1))
        hidden = []
        for depth, block in enumerate(self.blocks, 1):
            x = block(x)
            if depth in self.layers:
                hidden.append(x[:, 3:])
        tokens, total = self.after(x[:, :2]), 0
        for patches, attention, transform in zip(hidden, self.attention, self.transform):
            features = self.after(patches)
            unit = attention(tokens, features)
            unit = unit / unit.norm(dim=-1, keepdim=True)
            features = transform(features)
            features = features / features.norm(dim=-1, keepdim=True)
            total = total + features @ (unit[:, 0] - unit[:, 1]).unsqueeze(-1)
        return total


MODELS = {"lizad": LiZad, "edgezsad": EdgeZsad, "visualad": VisualAd}


def build(name):
    """A model with the same random weights every time."""
    torch.manual_seed(0)
    return MODELS[name]().eval()
