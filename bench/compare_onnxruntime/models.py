"""The three systems in PyTorch, for export: the layers, shapes and order of operations of src/Models, with a reference case's weights.

Each takes the bytes of a picture of the model's size, [side, side, 3], and ends at the map of the same size. Its first output holds the values of
the patches, before they are enlarged to the map. What depends on weights alone is a constant, as it is in src/Models; q, k and v are layers of
their own, so that none is copied out of a packed one.
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


def fill(module, w, name):
    """Gives a layer the case's weights of that name."""
    for leaf in ("weight", "bias", "running_mean", "running_var"):
        target = getattr(module, leaf, None)
        if target is not None:
            target.copy_(w[f"{name}.{leaf}"])


class Normalise(nn.Module):
    """Bytes [side, side, 3] to floats [1, 3, side, side], by one multiplication and one addition."""

    def __init__(self, mean, std):
        super().__init__()
        mean, std = (torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1) for values in (mean, std))
        self.register_buffer("scale", (1 / (255 * std)).float())
        self.register_buffer("shift", (-mean / std).float())

    def forward(self, x):
        return x.permute(2, 0, 1).unsqueeze(0).float() * self.scale + self.shift


def enlarge(x, side, corners):
    return F.interpolate(x, size=(side, side), mode="bilinear", align_corners=corners)


class Mlp(nn.Module):
    def __init__(self, width, hidden, activation=F.gelu):
        super().__init__()
        self.up, self.down, self.activation = nn.Linear(width, hidden), nn.Linear(hidden, width), activation

    def forward(self, x):
        return self.down(self.activation(self.up(x)))


class Block(nn.Module):
    """A transformer block: DINOv3's with rotary positions and LayerScale, CLIP's without."""

    def __init__(self, width, heads, hidden, scaled=False, activation=F.gelu):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        # DINOv3's keys have no bias.
        self.q, self.k, self.v, self.projection = (nn.Linear(width, width, bias=i != 1 or not scaled) for i in range(4))
        self.mlp = Mlp(width, hidden, activation)
        self.scale1, self.scale2 = (nn.Parameter(torch.empty(width)) if scaled else None for _ in range(2))

    def fill_dino(self, w, name):
        for norm in ("norm1", "norm2"):
            fill(getattr(self, norm), w, f"{name}.{norm}")
        for layer, leaf in ((self.q, "q"), (self.k, "k"), (self.v, "v"), (self.projection, "o")):
            fill(layer, w, f"{name}.attention.{leaf}_proj")
        fill(self.mlp.up, w, f"{name}.mlp.up_proj")
        fill(self.mlp.down, w, f"{name}.mlp.down_proj")
        self.scale1.copy_(w[f"{name}.layer_scale1.lambda1"])
        self.scale2.copy_(w[f"{name}.layer_scale2.lambda1"])

    def fill_clip(self, w, name):
        fill(self.norm1, w, f"{name}.ln_1")
        fill(self.norm2, w, f"{name}.ln_2")
        packed = w[f"{name}.attn.in_proj_weight"].chunk(3), w[f"{name}.attn.in_proj_bias"].chunk(3)
        for layer, weight, bias in zip((self.q, self.k, self.v), *packed):
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
        fill(self.projection, w, f"{name}.attn.out_proj")
        fill(self.mlp.up, w, f"{name}.mlp.c_fc")
        fill(self.mlp.down, w, f"{name}.mlp.c_proj")

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
    """DINOv3 as far as the last block that is read, the patch adapters of some depths, and the map; the class is a constant."""

    def __init__(self, c, w):
        super().__init__()
        width, heads, patch, self.side, self.layers = (c[k] for k in ("vision_width", "vision_heads", "patch_size", "image_size", "vision_layers"))
        self.grid, self.prefix, self.slope, self.scale = self.side // patch, 1 + c["registers"], c["leaky_slope"], c["logit_scale"]
        self.taps = [[f"head.logits.{i}" for i in range(len(self.layers))], ["head.map"]]
        self.normalise = Normalise(c["mean"], c["std"])
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.blocks = nn.ModuleList(Block(width, heads, c["vision_mlp"], scaled=True) for _ in range(max(self.layers)))
        self.adapters = nn.ModuleList(nn.Linear(width, c["out_dim"]) for _ in self.layers)
        fill(self.patches, w, "vision.embeddings.patch_embeddings")
        for i, block in enumerate(self.blocks):
            block.fill_dino(w, f"vision.layer.{i}")
        for i, adapter in enumerate(self.adapters):
            fill(adapter, w, f"head.patch_adapter.{i}.adapter.0")
        self.register_buffer("tokens", torch.cat((w["vision.embeddings.cls_token"], w["vision.embeddings.register_tokens"]), 1))
        self.register_buffer("text", torch.stack([self.class_vector(w, *names) for names in (("positive", "normal"), ("negative", "abnormal"))], 1))

        quarter = width // heads // 4
        axis = (torch.arange(self.grid) + 0.5) / self.grid * 2 - 1
        positions = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).view(self.grid ** 2, 2, 1)
        angles = (2 * math.pi * positions * c["rope_theta"] ** (-torch.arange(quarter) / quarter)).flatten(1)
        # The prefix tokens are turned by nothing.
        angles = torch.cat((torch.zeros(self.prefix, angles.shape[1]), angles))
        self.register_buffer("start", torch.zeros(1, dtype=torch.int64))
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def class_vector(self, w, adapter, embedding):
        name = f"head.{adapter}_text_adapter.adapter.0"
        return F.leaky_relu(F.linear(w[f"text.{embedding}"], w[f"{name}.weight"], w[f"{name}.bias"]), self.slope)

    def forward(self, x):
        x = torch.cat((self.tokens, self.patches(self.normalise(x)).flatten(2).transpose(1, 2)), 1)
        logits = []
        for depth, block in enumerate(self.blocks, 1):
            x = block(x, (self.start, self.cos, self.sin))
            if depth in self.layers:
                p = F.leaky_relu(self.adapters[len(logits)](x[:, self.prefix:]), self.slope)
                logits.append(self.scale * (p / p.norm(dim=-1, keepdim=True)) @ self.text)
        logits = torch.cat(logits).transpose(1, 2).reshape(-1, 2, self.grid, self.grid)
        # A softmax over two values is the sigmoid of their difference.
        return logits, enlarge(logits[:, 1:] - logits[:, :1], self.side, True).sigmoid().mean(0)


def convolution(inputs, outputs, kernel=1, stride=1, groups=1):
    """With its BatchNorm, which the export folds into it."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs))


def fill_convolution(module, w, name):
    fill(module[0], w, f"{name}.conv")
    fill(module[1], w, f"{name}.bn")


class Bottleneck(nn.Module):
    """Pointwise, depthwise, pointwise: PatchMerging, and MBConv with a residual."""

    def __init__(self, inputs, middle, outputs, stride):
        super().__init__()
        self.expand, self.depthwise = convolution(inputs, middle), convolution(middle, middle, 3, stride, middle)
        self.project, self.residual = convolution(middle, outputs), stride == 1

    def fill(self, w, name):
        for i, part in enumerate((self.expand, self.depthwise, self.project), 1):
            fill_convolution(part, w, f"{name}.conv{i}")

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
        self.register_buffer("bias", torch.empty(1, heads, window ** 2, window ** 2))

    def fill(self, w, name):
        fill(self.norm1, w, f"{name}.attn.norm")
        fill(self.norm2, w, f"{name}.mlp.norm")
        # The rows of the packed layer are grouped by head: q, k, v of head 0, then of head 1.
        packed = (w[f"{name}.attn.qkv.{leaf}"].unflatten(0, (self.heads, 3, -1)).unbind(1) for leaf in ("weight", "bias"))
        for layer, weight, bias in zip((self.q, self.k, self.v), *packed):
            layer.weight.copy_(weight.flatten(0, 1))
            layer.bias.copy_(bias.flatten())
        fill(self.projection, w, f"{name}.attn.proj")
        fill_convolution(self.local, w, f"{name}.local_conv")
        fill(self.mlp.up, w, f"{name}.mlp.fc1")
        fill(self.mlp.down, w, f"{name}.mlp.fc2")
        axis = torch.arange(self.window)
        cells = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).view(-1, 2)
        distance = (cells[:, None] - cells).abs()
        self.bias.copy_(w[f"{name}.attn.attention_biases"][:, distance[..., 0] * self.window + distance[..., 1]][None])

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
    """TinyViT, the readout's logits of the patches and of the whole picture, and the map."""

    def __init__(self, c, w):
        super().__init__()
        dims, depths, heads, windows, self.side = (c[k] for k in ("dims", "depths", "heads", "windows", "image_size"))
        self.taps = [["local.logits", "global.logit"], ["map.final"]]
        self.normalise = Normalise(c["mean"], c["std"])
        self.stem = nn.ModuleList((convolution(3, dims[0] // 2, 3, 2), convolution(dims[0] // 2, dims[0], 3, 2)))
        self.first = nn.Sequential(*(Bottleneck(dims[0], 4 * dims[0], dims[0], 1) for _ in range(depths[0])))
        self.sides = [self.side // 2 ** (s + 2) for s in range(4)]
        self.downsample = nn.ModuleList(Bottleneck(dims[s - 1], dims[s], dims[s], 2) for s in (1, 2, 3))
        self.stages = nn.ModuleList(
            nn.Sequential(*(WindowBlock(dims[s], heads[s], self.sides[s], windows[s]) for _ in range(depths[s]))) for s in (1, 2, 3))
        self.local_norm, self.local = nn.LayerNorm(dims[2]), nn.Linear(dims[2], 1)
        self.global_norm, self.globally = nn.LayerNorm(dims[3]), nn.Linear(dims[3], 1)
        for i, part in enumerate(self.stem, 1):
            fill_convolution(part, w, f"vision.patch_embed.conv{i}")
        for i, block in enumerate(self.first):
            block.fill(w, f"vision.stages.0.blocks.{i}")
        for s, (downsample, stage) in enumerate(zip(self.downsample, self.stages), 1):
            downsample.fill(w, f"vision.stages.{s}.downsample")
            for i, block in enumerate(stage):
                block.fill(w, f"vision.stages.{s}.blocks.{i}")
        for norm, layer, name in ((self.local_norm, self.local, "local"), (self.global_norm, self.globally, "global")):
            fill(norm, w, f"head.glr.{name}.norm")
            fill(layer, w, f"head.glr.{name}.fc")

    def forward(self, x):
        x = self.first(self.stem[1](F.gelu(self.stem[0](self.normalise(x)))))
        maps = []
        for side, downsample, stage in zip(self.sides[1:], self.downsample, self.stages):
            x = stage(downsample(x).flatten(2).transpose(1, 2))
            maps.append(x)
            x = x.transpose(1, 2).view(1, -1, side, side)
        local = self.local(self.local_norm(maps[1])).view(1, 1, self.sides[2], self.sides[2])
        globally = self.globally(self.global_norm(maps[2].mean(1)))
        return torch.cat((local.flatten(), globally.flatten())), enlarge(local, self.side, False).sigmoid()


class SpatialCrossAttention(nn.Module):
    def __init__(self, width, anchors, patches, w, name):
        super().__init__()
        self.key, self.value = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.key_norm, self.gate, self.out = nn.LayerNorm(width), nn.Linear(width, anchors), nn.Linear(width, width)
        for layer, leaf in ((self.key, "k_proj"), (self.value, "v_proj"), (self.key_norm, "k_norm"), (self.gate, "gate.0"), (self.out, "out_proj")):
            fill(layer, w, f"{name}.{leaf}")
        queries = F.layer_norm(F.linear(w[f"{name}.anchor_queries"], w[f"{name}.q_proj.weight"]), (width,),
                               w[f"{name}.q_norm.weight"], w[f"{name}.q_norm.bias"])
        self.register_buffer("anchors", queries * width ** -0.5)
        self.register_buffer("offsets", w[f"{name}.pos_encoding"][0, :patches])
        self.register_buffer("scale", w[f"{name}.res_scale"])

    def forward(self, tokens, patches):
        keys = self.key_norm(self.key(patches + self.offsets))
        gathered = self.value((self.anchors @ keys.transpose(-2, -1)).softmax(-1) @ patches)
        return tokens + self.scale * self.out(self.gate(tokens).sigmoid() @ gathered)


class Blur(nn.Module):
    """A Gaussian cut at four sigma, over borders that are mirrored with their edge repeated, as SciPy's."""

    def __init__(self, side, sigma):
        super().__init__()
        radius = int(4 * sigma + 0.5)
        kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, dtype=torch.float64) / sigma) ** 2)
        self.register_buffer("kernel", (kernel / kernel.sum()).float().view(1, 1, 1, -1))
        place = torch.arange(-radius, side + radius) % (2 * side)
        self.register_buffer("place", torch.where(place < side, place, 2 * side - 1 - place))

    def forward(self, x):
        x = F.conv2d(x.index_select(3, self.place), self.kernel)
        return F.conv2d(x.index_select(2, self.place), self.kernel.transpose(2, 3))


class VisualAd(nn.Module):
    """CLIP with two learned tokens; at some depths SCA, SAF and the difference of cosines; and the map."""

    def __init__(self, c, w):
        super().__init__()
        width, heads, patch, self.side, self.layers = (c[k] for k in ("width", "heads", "patch_size", "image_size", "features_list"))
        self.grid = self.side // patch
        self.taps = [[f"score.{layer}" for layer in self.layers], ["map.final"]]
        self.normalise = Normalise(c["mean"], c["std"])
        self.patches = nn.Conv2d(3, width, patch, patch, bias=False)
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.blocks = nn.ModuleList(
            Block(width, heads, 4 * width, activation=lambda h: h * torch.sigmoid(1.702 * h)) for _ in range(max(self.layers)))
        self.attention = nn.ModuleList(
            SpatialCrossAttention(width, c["num_anchors"], self.grid ** 2, w, f"head.cross_attn.layer_attentions.layer_{layer}")
            for layer in self.layers)
        self.transform = nn.ModuleList(Mlp(width, c["saf_hidden"]) for _ in self.layers)
        self.blur = Blur(self.side, c["sigma"])
        fill(self.patches, w, "vision.conv1")
        fill(self.before, w, "vision.ln_pre")
        fill(self.after, w, "vision.ln_post")
        for i, block in enumerate(self.blocks):
            block.fill_clip(w, f"vision.transformer.resblocks.{i}")
        for layer, transform in zip(self.layers, self.transform):
            fill(transform.up, w, f"head.layer_transforms.layer_{layer}.mlp.0")
            fill(transform.down, w, f"head.layer_transforms.layer_{layer}.mlp.3")
        positions = w["vision.positional_embedding"]
        tokens = torch.stack([w["head.anomaly_token"], w["head.normal_token"], w["vision.class_embedding"]]) + positions[0]
        self.register_buffer("tokens", tokens[None])
        table = positions[1:].T.reshape(1, width, c["pos_grid"], c["pos_grid"])
        self.register_buffer("positions", enlarge(table, self.grid, False).flatten(2).transpose(1, 2))

    def forward(self, x):
        x = self.patches(self.normalise(x)).flatten(2).transpose(1, 2) + self.positions
        x = self.before(torch.cat((self.tokens, x), 1))
        hidden = []
        for depth, block in enumerate(self.blocks, 1):
            x = block(x)
            if depth in self.layers:
                hidden.append(x[:, 3:])
        tokens, scores = self.after(x[:, :2]), []
        for patches, attention, transform in zip(hidden, self.attention, self.transform):
            features = self.after(patches)
            unit = attention(tokens, features)
            unit = unit / unit.norm(dim=-1, keepdim=True)
            features = transform(features)
            features = features / features.norm(dim=-1, keepdim=True)
            scores.append(features @ (unit[:, 0] - unit[:, 1]).unsqueeze(-1))
        scores = torch.cat(scores)
        return scores, self.blur(enlarge(scores.sum(0).view(1, 1, self.grid, self.grid), self.side, False))


MODELS = {"lizad": LiZad, "edgezsad": EdgeZsad, "visualad": VisualAd}


@torch.no_grad()
def build(manifest, weights):
    """The network of a reference case with its weights, by name."""
    return MODELS[manifest["model"]](manifest["config"], weights).eval()
