"""Writes checkpoints in their authors' structures, small and random, and what the Python tools make of them.

usage: make_checkpoints.py FOLDER

For each scenario FOLDER/NAME gets its checkpoints, `arguments.json` (the converter's, paths relative), `converted.safetensors`
(tools/convert_weights.py), `expected.safetensors` (tools/dump_reference.py, of the picture that arguments.json names) and, where
it shows something, `exact.safetensors` (the same with --exact). FOLDER/variants gets one readout of EdgeZSAD, saved in the ways that
people save checkpoints, each with what tools/convert_weights.py makes of it (NAME.converted); torch.load gives the same tensors of
each. tests/TinyZsad/ConversionTests.cs compares the engine with them.
"""
import argparse
import collections
import contextlib
import datetime
import io
import json
import pathlib
import sys

import numpy as np
import torch
import torch.nn as nn

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import convert_weights
import dump_reference
from edgezsad.model import EdgeZsad
from edgezsad.recipe import RECIPES, SMOKE_VARIANT
from edgezsad.weights import write_safetensors

IMAGES = ROOT / "tests" / "reference" / "images"
VISION, TEXT, VOCABULARY, WIDTH = 64, 64, 49408, 128                         # of LiZAD's parts; of VisualAD's
ODD = dict(overflow=7e4, flushed=1e-9, subnormal=1.2345e-5)                   # what FP16 cannot hold, and holds badly


def values(shape, scale, offset=0.0):
    return offset + scale * torch.randn(shape)


def layer(out, name, outputs, inputs, bias=True):
    out[f"{name}.weight"] = values((outputs, inputs), inputs ** -0.5)
    if bias:
        out[f"{name}.bias"] = values((outputs,), 0.1)


def norm(out, name, width):
    out[f"{name}.weight"], out[f"{name}.bias"] = values((width,), 0.1, 1.0), values((width,), 0.1)


# ---------------------------------------------------------------- LiZAD
def dinov3_hugging_face(blocks=12):
    out = {"embeddings.cls_token": values((1, 1, VISION), 1), "embeddings.mask_token": torch.zeros(1, 1, VISION),
           "embeddings.register_tokens": values((1, 4, VISION), 1),
           "embeddings.patch_embeddings.weight": values((VISION, 3, 16, 16), 0.04),
           "embeddings.patch_embeddings.bias": values((VISION,), 0.1)}
    for i in range(blocks):
        for k in ("norm1", "norm2"):
            norm(out, f"layer.{i}.{k}", VISION)
        for k in ("q", "k", "v", "o"):
            layer(out, f"layer.{i}.attention.{k}_proj", VISION, VISION, bias=k != "k")
        layer(out, f"layer.{i}.mlp.up_proj", 4 * VISION, VISION)
        layer(out, f"layer.{i}.mlp.down_proj", VISION, 4 * VISION)
        for k in (1, 2):
            out[f"layer.{i}.layer_scale{k}.lambda1"] = values((VISION,), 0.1, 0.2)
    norm(out, "norm", VISION)
    return out


def dinov3_meta(blocks=12):
    out = collections.OrderedDict(cls_token=values((1, 1, VISION), 1), storage_tokens=values((1, 4, VISION), 1),
                                  mask_token=torch.zeros(1, VISION))
    out["patch_embed.proj.weight"], out["patch_embed.proj.bias"] = values((VISION, 3, 16, 16), 0.04), values((VISION,), 0.1)
    out["rope_embed.periods"] = 100.0 ** (torch.arange(16) / 16)
    for i in range(blocks):
        for k in ("norm1", "norm2"):
            norm(out, f"blocks.{i}.{k}", VISION)
        layer(out, f"blocks.{i}.attn.qkv", 3 * VISION, VISION)
        out[f"blocks.{i}.attn.qkv.bias_mask"] = torch.cat([torch.ones(VISION), torch.zeros(VISION), torch.ones(VISION)])
        layer(out, f"blocks.{i}.attn.proj", VISION, VISION)
        for k in (1, 2):
            out[f"blocks.{i}.ls{k}.gamma"] = values((VISION,), 0.1, 0.2)
        layer(out, f"blocks.{i}.mlp.fc1", 4 * VISION, VISION)
        layer(out, f"blocks.{i}.mlp.fc2", VISION, 4 * VISION)
    norm(out, "norm", VISION)
    return out


def clip_block(out, name, width):
    for k in ("ln_1", "ln_2"):
        norm(out, f"{name}.{k}", width)
    out[f"{name}.attn.in_proj_weight"] = values((3 * width, width), width ** -0.5)
    out[f"{name}.attn.in_proj_bias"] = values((3 * width,), 0.1)
    layer(out, f"{name}.attn.out_proj", width, width)
    layer(out, f"{name}.mlp.c_fc", 4 * width, width)
    layer(out, f"{name}.mlp.c_proj", width, 4 * width)


def mobileclip():
    out = {"logit_scale": torch.tensor(4.6), "visual.trunk.stem.0.conv.weight": values((8, 3, 3, 3), 1),
           "visual.trunk.stem.0.bn.num_batches_tracked": torch.tensor(3),
           "text.positional_embedding": values((77, TEXT), 0.1), "text.text_projection": values((TEXT, 48), TEXT ** -0.5),
           "text.token_embedding.weight": values((VOCABULARY, TEXT), 0.3)}
    clip_block(out, "text.transformer.resblocks.0", TEXT)
    norm(out, "text.ln_final", TEXT)
    return out


def lizad_head():
    out = {}
    for name in ("positive_text_adapter", "negative_text_adapter"):
        layer(out, f"{name}.adapter.0", 24, 48)
    for name in ("patch_adapter", "cls_adapter"):
        for i in range(4):
            layer(out, f"{name}.{i}.adapter.0", 24, VISION)
    return out


# ---------------------------------------------------------------- VisualAD
class LayerNorm(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.type(torch.float32)).type(x.dtype)


class QuickGelu(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class ResidualAttentionBlock(nn.Module):
    """Named as OpenAI's."""

    def __init__(self, width):
        super().__init__()
        self.attn = nn.MultiheadAttention(width, width // 64)
        self.ln_1, self.ln_2 = LayerNorm(width), LayerNorm(width)
        self.mlp = nn.Sequential(collections.OrderedDict(
            c_fc=nn.Linear(width, 4 * width), gelu=QuickGelu(), c_proj=nn.Linear(4 * width, width)))

    def forward(self, x):
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    def __init__(self, width, layers):
        super().__init__()
        self.width, self.layers = width, layers
        self.resblocks = nn.Sequential(*(ResidualAttentionBlock(width) for _ in range(layers)))

    def forward(self, x):
        return self.resblocks(x)


class VisionTransformer(nn.Module):
    def __init__(self, width, grid, layers):
        super().__init__()
        self.input_resolution = 14 * grid
        self.conv1 = nn.Conv2d(3, width, 14, 14, bias=False)
        self.class_embedding = nn.Parameter(values((width,), 1))
        self.positional_embedding = nn.Parameter(values((1 + grid * grid, width), 0.3))
        self.ln_pre, self.ln_post = LayerNorm(width), LayerNorm(width)
        self.transformer = Transformer(width, layers)
        self.proj = nn.Parameter(values((width, 32), 0.1))

    def forward(self, x):
        x = self.conv1(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding + torch.zeros_like(x[:, :1]), x], 1) + self.positional_embedding
        x = self.transformer(self.ln_pre(x).transpose(0, 1)).transpose(0, 1)
        return self.ln_post(x[:, 0]) @ self.proj


class Clip(nn.Module):
    def __init__(self, width=WIDTH, grid=4, layers=4):
        super().__init__()
        self.visual = VisionTransformer(width, grid, layers)
        self.token_embedding = nn.Embedding(100, 32)
        self.logit_scale = nn.Parameter(torch.tensor(4.6))
        self.register_buffer("context_length", torch.tensor(77))

    def forward(self, image):
        return self.visual(image) * self.logit_scale.exp()


def clip():
    model = Clip().eval()
    state = model.state_dict()
    for name, tensor in state.items():
        if name.endswith("bias") and tensor.dim() == 1:
            tensor.copy_(values(tensor.shape, 0.1))
        elif ".ln_" in name:
            tensor.copy_(values(tensor.shape, 0.1, 1.0))
        elif tensor.dim() == 2 and ".transformer." in name:
            tensor.copy_(values(tensor.shape, tensor.shape[1] ** -0.5))
    return model


def dinov2_meta(grid=5, layers=4):
    out = {"cls_token": values((1, 1, WIDTH), 1), "pos_embed": values((1, 1 + grid * grid, WIDTH), 0.3),
           "mask_token": torch.zeros(1, WIDTH), "patch_embed.proj.weight": values((WIDTH, 3, 14, 14), 0.04),
           "patch_embed.proj.bias": values((WIDTH,), 0.1)}
    for i in range(layers):
        for k in ("norm1", "norm2"):
            norm(out, f"blocks.{i}.{k}", WIDTH)
        layer(out, f"blocks.{i}.attn.qkv", 3 * WIDTH, WIDTH)
        layer(out, f"blocks.{i}.attn.proj", WIDTH, WIDTH)
        layer(out, f"blocks.{i}.mlp.fc1", 4 * WIDTH, WIDTH)
        layer(out, f"blocks.{i}.mlp.fc2", WIDTH, 4 * WIDTH)
        for k in (1, 2):
            out[f"blocks.{i}.ls{k}.gamma"] = values((WIDTH,), 0.1, 0.2)
    norm(out, "norm", WIDTH)
    return out


def dinov2_hugging_face(grid, layers=4):
    out = {"embeddings.cls_token": values((1, 1, WIDTH), 1), "embeddings.mask_token": torch.zeros(1, WIDTH),
           "embeddings.register_tokens": values((1, 4, WIDTH), 1),
           "embeddings.position_embeddings": values((1, 1 + grid * grid, WIDTH), 0.3),
           "embeddings.patch_embeddings.projection.weight": values((WIDTH, 3, 14, 14), 0.04),
           "embeddings.patch_embeddings.projection.bias": values((WIDTH,), 0.1)}
    for i in range(layers):
        name = f"encoder.layer.{i}"
        for k in ("norm1", "norm2"):
            norm(out, f"{name}.{k}", WIDTH)
        for k in ("query", "key", "value"):
            layer(out, f"{name}.attention.attention.{k}", WIDTH, WIDTH)
        layer(out, f"{name}.attention.output.dense", WIDTH, WIDTH)
        layer(out, f"{name}.mlp.fc1", 4 * WIDTH, WIDTH)
        layer(out, f"{name}.mlp.fc2", WIDTH, 4 * WIDTH)
        for k in (1, 2):
            out[f"{name}.layer_scale{k}.lambda1"] = values((WIDTH,), 0.1, 0.2)
    norm(out, "layernorm", WIDTH)
    return out


def visualad_head(attends=True, layers=(1, 2, 3, 4), **more):
    """As utils/training_utils.py of VisualAD saves it."""
    transforms, attention = {}, {}
    for i in layers:
        transforms[f"layer_{i}"] = mlp = {}
        layer(mlp, "mlp.0", 96, WIDTH)
        layer(mlp, "mlp.3", WIDTH, 96)
        p = f"layer_attentions.layer_{i}"
        attention[f"{p}.anchor_queries"] = values((4, WIDTH), 1)
        attention[f"{p}.pos_encoding"] = values((1, 32, WIDTH), 0.3)
        for k in ("q_proj", "k_proj", "v_proj"):
            layer(attention, f"{p}.{k}", WIDTH, WIDTH, bias=False)
        layer(attention, f"{p}.out_proj", WIDTH, WIDTH)
        for k in ("q_norm", "k_norm"):
            norm(attention, f"{p}.{k}", WIDTH)
        layer(attention, f"{p}.gate.0", 4, WIDTH)
        attention[f"{p}.res_scale"] = torch.tensor([0.4])
    out = {"anomaly_token": values((WIDTH,), 1), "normal_token": values((WIDTH,), 1), "token_insert_layer": 0,
           "ln_post_weight": values((WIDTH,), 0.1, 1.2), "ln_post_bias": values((WIDTH,), 0.1), "features_list": list(layers),
           "image_size": 70, "epoch": 15, "backbone": "ViT-S/14", "layer_transforms": transforms, "transform_type": "mlp", **more}
    if attends:
        out["cross_attn"] = attention
        out["cross_attn_config"] = {"num_anchors": 4, "dropout": 0.1, "res_scale_init": 0.01, "apply_to_layer24": True}
    return out


# ---------------------------------------------------------------- EdgeZSAD
def edge_model():
    model = EdgeZsad(SMOKE_VARIANT).eval()
    with torch.no_grad():
        for name, tensor in model.tensors().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif name.endswith(("running_mean", "attention_biases", "bias")):
                tensor.copy_(values(tensor.shape, 0.2))
    return model.state_dict()


def part(state, prefix):
    return {name[len(prefix):]: tensor for name, tensor in state.items() if name.startswith(prefix)}


def microsoft(state):
    """timm's names turned into Microsoft's, with what else is in their files."""
    def name(key):
        key = key.replace(".conv.weight", ".c.weight").replace("patch_embed.conv1", "patch_embed.seq.0")
        key = key.replace("patch_embed.conv2", "patch_embed.seq.2")
        for stage in (0, 1, 2, 3):
            key = key.replace(f"stages.{stage}.downsample", f"layers.{stage - 1}.downsample").replace(f"stages.{stage}.",
                                                                                                      f"layers.{stage}.")
        return key
    out = {name(key): tensor for key, tensor in state.items()}
    out["layers.1.blocks.0.attn.attention_bias_idxs"] = torch.zeros(16, 16, dtype=torch.long)
    norm(out, "norm_head", 128)
    layer(out, "head", 10, 128)
    return out


# ---------------------------------------------------------------- odd values and layouts
def transposed(tensor):
    """The same matrix over a storage of its transpose."""
    return tensor.t().contiguous().t()


def shards(folder, tensors, count):
    """Hugging Face's files of a sharded model."""
    places = {}
    for n in range(count):
        name = f"model-{n + 1:05}-of-{count:05}.safetensors"
        held = dict(list(tensors.items())[n::count])
        write_safetensors(folder / name, held)
        places.update({key: name for key in held})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": 0}, "weight_map": places},
                                                                    indent=2))


def scenario_lizad_hugging_face(at):
    vision = dinov3_hugging_face()
    vision["layer.3.layer_scale1.lambda1"][5] = ODD["subnormal"]
    write_safetensors(at / "model.safetensors", vision)
    torch.save(mobileclip(), at / "mobileclip2_s0.pt")
    head = {name: nn.Parameter(tensor) for name, tensor in lizad_head().items()}
    optimizer = torch.optim.AdamW(head.values())
    sum(p.sum() for p in head.values()).backward()
    optimizer.step()
    torch.save({"epoch": 3, "model_state_dict": head, "optimizer_state_dict": optimizer.state_dict(), "loss": 0.25},
               at / "head.pth")
    return ["lizad", "--dinov3", "model.safetensors", "--mobileclip", "mobileclip2_s0.pt", "--head", "head.pth"], ["--class",
                                                                                                                   "metal nut"]


def scenario_lizad_meta(at):
    vision = dinov3_meta()
    vision["blocks.2.mlp.fc1.weight"] = transposed(vision["blocks.2.mlp.fc1.weight"])
    vision["blocks.1.attn.qkv.weight"][VISION + 3, 4] = ODD["flushed"]        # in k alone
    torch.save(vision, at / "dinov3.pth")
    text = {name: t if "token" in name else t.half() for name, t in mobileclip().items() if t.is_floating_point()}
    shards(at, text, 3)
    together = torch.randn(2, 24, 48, dtype=torch.float64) * 48 ** -0.5       # two tensors over one storage
    together[0, 0, :2] = torch.tensor([1 + 2**-11 + 2**-40, -1 - 2**-11])      # above a tie, and one: rounded once, not twice
    head = {name: t.double() if i % 2 else t for i, (name, t) in enumerate(lizad_head().items())}
    head["positive_text_adapter.adapter.0.weight"], head["negative_text_adapter.adapter.0.weight"] = together
    head["patch_adapter.1.adapter.0.bias"] = head["patch_adapter.1.adapter.0.bias"].bfloat16()
    torch.save({f"module.{name}": tensor for name, tensor in head.items()}, at / "head.pth")
    return (["lizad", "--dinov3", "dinov3.pth", "--mobileclip", "model.safetensors.index.json", "--head", "head.pth"],
            ["--class", "screw"])


def scenario_lizad_classes(at):
    scenario_lizad_meta(at)
    return (["lizad", "--dinov3", "dinov3.pth", "--mobileclip", "model.safetensors.index.json", "--head", "head.pth",
             "--class", "metal nut", "--drop-text"], None)


def scenario_edgezsad_timm(at):
    state = edge_model()
    vision = part(state, "vision.")
    vision["head.fc.weight"] = values((10, 128), 1)
    write_safetensors(at / "model.safetensors", {k: t for k, t in vision.items() if t.is_floating_point()})
    torch.save(part(state, "head.glr."), at / "head.pth")
    return ["edgezsad", "--tinyvit", "model.safetensors", "--head", "head.pth", "--image-size", "64", "--topk", "3"], []


def scenario_edgezsad_microsoft(at):
    state = edge_model()
    vision = microsoft(part(state, "vision."))
    vision["layers.2.blocks.0.mlp.fc2.weight"][3, 1] = ODD["overflow"]
    vision["layers.2.blocks.0.mlp.fc1.weight"][1] *= 1e-6                     # so that the large value does no harm
    torch.save({"model": vision}, at / "tiny_vit.pth")
    write_safetensors(at / "head.safetensors", {f"head.glr.{k}": t.half() for k, t in part(state, "head.glr.").items()})
    return ["edgezsad", "--tinyvit", "tiny_vit.pth", "--head", "head.safetensors", "--image-size", "64"], []


def scenario_edgezsad_trained(at):
    """As tools/train_edgezsad.py saves it: the last weights, and those that did best of what is trained."""
    state = edge_model()
    best = {name: t * 1.01 for name, t in state.items() if name.startswith(("head.", "vision.stages.3."))
            and t.is_floating_point()}
    about = {"recipe": RECIPES["smoke"].as_data(), "step": 3, "best": {"step": 2}}
    torch.save({"about": json.dumps(about), "model": state, "best": best, "moments": {0: {"step": torch.tensor(3.0)}}},
               at / "checkpoint.pt")
    return ["edgezsad", "--head", "checkpoint.pt"], []


def scenario_edgezsad_both(at):
    state = edge_model()
    about = {"recipe": RECIPES["smoke"].as_data(), "step": 3, "best": None}
    torch.save({"about": json.dumps(about), "model": state, "best": {}, "moments": {}}, at / "checkpoint.pt")
    torch.save({"model": microsoft(part(state, "vision."))}, at / "tiny_vit.pth")
    return ["edgezsad", "--tinyvit", "tiny_vit.pth", "--head", "checkpoint.pt"], []


def scenario_visualad_torchscript(at):
    model = clip()
    traced = torch.jit.trace(model, torch.randn(1, 3, 56, 56))
    for name, tensor in traced.named_parameters():                            # OpenAI's archives are FP16 but for the norms
        if ".ln_" not in name:
            tensor.data = tensor.data.half()
    torch.jit.save(traced, at / "ViT.pt")
    torch.save(visualad_head(), at / "CLIP.pth")
    return ["visualad", "--clip", "ViT.pt", "--head", "CLIP.pth"], []


def scenario_visualad_state(at):
    torch.save({"epoch": 1, "state_dict": clip().state_dict()}, at / "clip.pth")
    torch.save(visualad_head(attends=False, layers=(2, 3)), at / "CLIP.pth")
    return ["visualad", "--clip", "clip.pth", "--head", "CLIP.pth", "--ln-post", "checkpoint"], []


def scenario_visualad_dinov2(at):
    torch.save(dinov2_meta(grid=7), at / "dinov2.pth")
    torch.save(visualad_head(), at / "head.pth")
    return ["visualad", "--dinov2", "dinov2.pth", "--head", "head.pth"], []


def scenario_visualad_dinov2_hugging_face(at):
    vision = dinov2_hugging_face(grid=7)
    vision["encoder.layer.1.attention.attention.key.weight"][3, 4] = ODD["flushed"]
    write_safetensors(at / "model.safetensors", vision)
    torch.save(visualad_head(), at / "head.pth")
    return ["visualad", "--dinov2", "model.safetensors", "--head", "head.pth"], []


# ---------------------------------------------------------------- the ways that people save a checkpoint
class Config(dict):
    """As omegaconf's and mmcv's: a dict of a class of its own, with a tensor that only the class could name."""

    class Node:
        def __init__(self, parent):
            self.parent, self.cycle = parent, (self,)

    def __init__(self, **items):
        super().__init__(**items)
        self.nodes, self.tensor = [Config.Node(self), Config.Node(self)], torch.ones(3)


class Items(list):
    """A list of a class of its own."""


def companions(head):
    """What stands beside the weights in people's checkpoints: name -> value."""
    parameters = [nn.Parameter(t.clone()) for t in head.values()]
    optimizer = torch.optim.AdamW(parameters, lr=np.float64(1e-3))
    sum(p.sum() for p in parameters).backward()
    optimizer.step()
    with_attribute = torch.ones(2)
    with_attribute.note = "kept by _rebuild_from_type_v2"
    return {
        "numpy-score": np.float64(0.93), "numpy-scalars": [np.int64(3), np.float32(1), np.bool_(True), np.str_("x")],
        "numpy-array": {"writable": np.arange(5.0), "strided": np.arange(6).reshape(2, 3).T, "objects": np.array([None, {}], object)},
        "numpy-random": np.random.RandomState(0).get_state(), "numpy-generator": np.random.RandomState(0),
        "args": argparse.Namespace(lr=0.1, path=pathlib.PurePosixPath("/x"), weight=torch.ones(2)), "torch-size": torch.Size([1, 2]),
        "none-key": {None: 1, 2: torch.ones(1), True: 3, 1.5: 4, (1, 2): 5, 2**70: 6}, "none": None, "texts": ["", "\u00e9" * 300],
        "date": datetime.datetime(2024, 5, 6, 7, 8, tzinfo=datetime.timezone.utc), "path": pathlib.PurePosixPath("/data/run"),
        "config": Config(lr=0.1), "class": Config, "nested-class": Config.Node, "items": Items([1, torch.ones(2)]),
        "optimizer": optimizer.state_dict(), "scheduler": collections.Counter({0.1: 1}), "rng": torch.get_rng_state(),
        "device": torch.device("cpu"), "dtype": torch.float16, "layout": torch.strided, "sets": [{1, 2}, frozenset([3]), set()],
        "bytes": [b"", b"x" * 300, bytearray(b"y" * 300)], "seeds": [2**63 - 1, -2**63, 2**63, 2**64 - 1, -1, 2**9000, 255, 65535, -129],
        "complex": 1j, "range": range(4), "slice": slice(1, 2), "default": collections.defaultdict(list, a=[1, torch.ones(2)]),
        "ellipsis": ..., "function": torch.nn.functional.relu, "module": nn.Linear(2, 2), "attribute": with_attribute}


def buffers():
    """Tensors in a state dict that no converter needs: name -> tensor."""
    return {"freqs_cis": torch.zeros(4, dtype=torch.complex64), "freqs_cis_double": torch.zeros(2, 2, dtype=torch.complex128),
            "position_ids": torch.arange(1).expand(1 << 40),
            "quantized": torch._empty_affine_quantized([2], scale=0.1, zero_point=0, dtype=torch.qint8),
            "quantized_32": torch._empty_affine_quantized([2, 2], scale=0.1, zero_point=0, dtype=torch.qint32),
            "sparse": torch.eye(3).to_sparse(), "sparse_csr": torch.eye(3).to_sparse_csr(), "meta": torch.empty(3, device="meta")}


def write_variants(folder):
    """Each variant is (what is saved, how to find the readout in it, the pickle's protocol)."""
    folder.mkdir()
    state = edge_model()
    write_safetensors(folder / "tinyvit.safetensors", {k: t for k, t in part(state, "vision.").items() if t.is_floating_point()})
    head = collections.OrderedDict(part(state, "head.glr."))

    def prefixed(prefix):
        return {prefix + name: tensor for name, tensor in head.items()}
    out = {"plain": (head, "", 2), "data-parallel": (prefixed("module."), "module.", 2),
           "compile": (prefixed("_orig_mod."), "_orig_mod.", 2),
           "ddp-compile": (prefixed("module._orig_mod."), "module._orig_mod.", 2),
           "compile-ddp": (prefixed("_orig_mod.module.module."), "_orig_mod.module.module.", 2),
           "net": (prefixed("net."), "net.", 2), "default-dict": (collections.defaultdict(list, prefixed("")), "", 2)}
    inner = {name.replace("global.", "global._orig_mod.").replace("local.", "local.module."): t for name, t in head.items()}
    out["compile-inner"] = (inner, None, 2)
    for prefix in ("model.", "net.", "model._orig_mod.", "model.head.glr."):
        out[f"lightning-{prefix.rstrip('.')}"] = (
            {"epoch": 3, "pytorch-lightning_version": "1.9.0", "state_dict": prefixed(prefix), "hyper_parameters": Config(lr=1)}, prefix, 2)
    beside = companions(head)
    for name, value in beside.items():
        out[f"with-{name}"] = ({name: value, "model": head}, "", 2)
    for protocol in (1, 2, 3, 4, 5):
        out[f"protocol-{protocol}"] = (head, "", protocol)
        out[f"protocol-{protocol}-with-all"] = ({"first": beside, "model": head, "last": [beside] * 2}, "", protocol)
    for name, tensor in buffers().items():
        out[f"buffer-{name}"] = (collections.OrderedDict(head, **{name: tensor}), "", 2)
    out["buffers-protocol-4"] = (collections.OrderedDict(head, **buffers()), "", 4)
    return {name: (*rest, head) for name, rest in out.items()}


def variants(folder):
    """Saves the variants, checks by torch.load that they hold the same readout, and converts them."""
    for name, (saved, prefix, protocol, head) in write_variants(folder).items():
        file = folder / f"{name}.pth"
        torch.save(saved, file, pickle_protocol=protocol)
        loaded = torch.load(file)
        loaded = next((loaded[key] for key in ("model", "state_dict") if key in loaded), loaded)
        for key, tensor in head.items() if prefix is not None else ():
            if not torch.equal(loaded[prefix + key], tensor):
                raise SystemExit(f"{name}: torch.load gives another '{prefix + key}'")
        convert_variant(folder, file)
    # Weights that repeat elements are read as they are.
    head = collections.OrderedDict(head, **{"local.fc.bias": torch.full((1,), 0.25).expand(head["local.fc.bias"].shape),
                                            "local.norm.weight": head["local.norm.weight"][:1].expand(head["local.norm.weight"].shape)})
    torch.save(head, folder / "expanded.pth")
    convert_variant(folder, folder / "expanded.pth")
    # Types that are not computed with, and white space around the header.
    write_safetensors(folder / "other-types.safetensors", {f"head.glr.{name}": t.float().contiguous() for name, t in head.items()})
    data = (folder / "other-types.safetensors").read_bytes()
    header, body = json.loads(data[8:8 + int.from_bytes(data[:8], "little")]), data[8 + int.from_bytes(data[:8], "little"):]
    for kind, length in (("F8_E4M3", 8), ("F4", 4), ("C64", 64), ("U16", 16), ("F0_NEW", 9)):
        header[kind] = {"dtype": kind, "shape": [8], "data_offsets": [len(body), len(body) + length]}
        body += bytes(length)
    text = b"\n\t " + json.dumps(header).encode() + b"\r\n"
    (folder / "other-types.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + body)
    convert_variant(folder, folder / "other-types.safetensors")


def convert_variant(folder, file):
    with contextlib.redirect_stdout(io.StringIO()):
        if convert_weights.main(["edgezsad", "--tinyvit", str(folder / "tinyvit.safetensors"), "--head", str(file), "--image-size", "64",
                                 "-o", str(file.with_suffix(".converted"))]):
            raise SystemExit(f"{file} is not converted")


PICTURES = {"lizad": "lizad-coffee-300x420.png", "edgezsad": "edgezsad-tablet-90x64.png", "visualad": "visualad-small-96x72.png"}
EXACT = ("visualad-dinov2",)


def make(name, write, folder, seed):
    torch.manual_seed(seed)
    at = folder / name
    at.mkdir()
    with torch.no_grad() if "hugging" not in name else contextlib.nullcontext():
        arguments, verified = write(at)
    files = [a if not (at / a).is_file() else str(at / a) for a in arguments]
    picture = str(IMAGES / PICTURES[arguments[0]])
    (at / "arguments.json").write_text(json.dumps({"convert": arguments, "verify": verified, "image": picture}))
    with contextlib.redirect_stdout(io.StringIO()) as said:
        codes = [convert_weights.main([*files, "-o", str(at / "converted.safetensors")])]
        for exact in (False, True) if verified is not None else ():
            if not exact or name in EXACT:
                out = str(at / ("exact.safetensors" if exact else "expected.safetensors"))
                codes.append(dump_reference.main([*files, *verified, "--image", picture, "-o", out,
                                                  *(["--exact"] if exact else [])]))
    if any(codes):
        raise SystemExit(f"{name}: {said.getvalue()}")
    (at / "said.txt").write_text(said.getvalue())


def main(folder):
    torch.set_num_threads(2)
    scenarios = {name[len("scenario_"):].replace("_", "-"): write for name,
                 write in globals().items() if name.startswith("scenario_")}
    for seed, (name, write) in enumerate(scenarios.items()):
        make(name, write, pathlib.Path(folder), seed)
    torch.manual_seed(len(scenarios))
    variants(pathlib.Path(folder) / "variants")
    # What is refused: a whole module, a weight that is not read, and the form before 1.6.
    torch.save(nn.Linear(2, 2), pathlib.Path(folder) / "module.pth")
    head = part(edge_model(), "head.glr.")
    torch.save({**head, "local.fc.bias": head["local.fc.bias"].to(torch.complex64)}, pathlib.Path(folder) / "complex.pth")
    torch.save({"a": torch.zeros(2)}, pathlib.Path(folder) / "legacy.pth", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
