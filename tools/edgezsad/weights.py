"""Weight files: safetensors in and out, and pretrained TinyViT backbones under timm's or Microsoft's names."""
import json
import os
import pathlib
import pickle
import re
import struct

import numpy as np
import torch

from .errors import UserError

# The types that are computed with. A tensor of another is Unreadable.
KINDS = {"F16": np.float16, "F32": np.float32, "F64": np.float64, "BF16": np.uint16,
         "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8, "U8": np.uint8, "BOOL": np.bool_}
NAMES = {torch.float16: "F16", torch.float32: "F32", torch.float64: "F64"}


class Unreadable:
    """A tensor of a type that is not computed with. It is an error where it is needed, and not before."""

    def __init__(self, problem):
        self.problem = problem

    def is_floating_point(self):
        return False

    def detach(self):
        return self


def read_safetensors(path):
    """(name -> tensor, metadata) of a .safetensors file."""
    path = pathlib.Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    try:
        length, = struct.unpack_from("<Q", data)
        if length > len(data) - 8:
            raise ValueError(f"the header is said to have {length} bytes, and the file has {len(data)}")
        header = json.loads(data[8:8 + length])
        metadata, body, tensors = header.pop("__metadata__", {}), memoryview(data)[8 + length:], {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            kind, shape = KINDS.get(entry["dtype"]), entry["shape"]
            if kind is None:
                tensors[name] = Unreadable(f"has elements of {entry['dtype']}, which are not read")
                continue
            if not 0 <= begin <= end <= len(body) or end - begin != np.prod(shape, dtype=np.int64) * np.dtype(kind).itemsize:
                raise ValueError(f"tensor '{name}' of shape {shape} does not fit its place, {begin} to {end}")
            array = np.frombuffer(body[begin:end], kind).reshape(shape)
            if entry["dtype"] == "BF16":                                      # the upper half of a float32
                array = (array.astype(np.uint32) << 16).view(np.float32)
            tensors[name] = torch.from_numpy(array.copy())
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a readable safetensors file: {error}") from None
    return tensors, metadata


def write_safetensors(path, tensors, metadata=None):
    """Writes name -> float tensor in name order, header padded to 8 bytes. The file is there whole or not at all."""
    header, blobs, at = {}, [], 0
    if metadata:
        header["__metadata__"] = metadata
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        blob = tensor.numpy().tobytes()
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    write_atomically(path, lambda file: file.writelines([struct.pack("<Q", len(text)), text, *blobs]))


def write_atomically(path, write):
    """Calls `write` with a binary file beside `path`, which then takes the place of `path` in one step."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with open(part, "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def write_model(path, model, dtype=torch.float16):
    """Writes an `edgezsad.safetensors` as the engine loads it."""
    tensors = {name: tensor.to(dtype) for name, tensor in model.tensors().items()}
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            advice = ": write with --dtype f32" if dtype == torch.float16 else ": training has diverged"
            raise UserError(f"tensor '{name}' holds values that do not fit into {NAMES[dtype]}{advice}")
    write_safetensors(path, tensors, model.variant.metadata())


# Microsoft's names, part by part, and timm's.
MICROSOFT = [(re.compile(pattern), to) for pattern, to in (
    (r"^patch_embed\.seq\.0\.", r"patch_embed.conv1."),
    (r"^patch_embed\.seq\.2\.", r"patch_embed.conv2."),
    (r"^layers\.(\d+)\.downsample\.", lambda m: f"stages.{int(m[1]) + 1}.downsample."),
    (r"^layers\.(\d+)\.blocks\.", r"stages.\1.blocks."),
    (r"^norm_head\.", r"head.norm."),
    (r"^head\.(weight|bias)$", r"head.fc.\1"),
    (r"\.c\.weight$", r".conv.weight"),
)]


def timm_name(name):
    """The name in timm's state dict of a tensor that goes by its name there, or by Microsoft's."""
    for pattern, to in MICROSOFT:
        name = pattern.sub(to, name)
    return name


def read_backbone(path):
    """timm name -> float32 tensor from a .safetensors, or a .pth of timm, Microsoft or MobileSAM; the classifier is left out."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise UserError(f"backbone file {path} does not exist")
    if path.suffix == ".safetensors":
        state, _ = read_safetensors(path)
    else:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
            raise UserError(f"{path}: not a PyTorch checkpoint of tensors alone, which can be read safely; "
                            f"timm's .safetensors always can: {str(error).splitlines()[0]}") from None
        for key in ("model", "state_dict"):
            if isinstance(state, dict) and isinstance(state.get(key), dict):
                state = state[key]
    if not isinstance(state, dict):
        raise UserError(f"{path}: a table of tensors is expected, and the file holds a {type(state).__name__}")
    for prefix in ("image_encoder.", "vision."):                              # MobileSAM; a file that this program wrote
        if any(k.startswith(prefix) for k in state):
            state = {k[len(prefix):]: t for k, t in state.items() if k.startswith(prefix)}
    unused = re.compile(r"^(head|neck)\.|num_batches_tracked$|attention_bias_idxs$")
    named = ((timm_name(k), t) for k, t in state.items() if torch.is_tensor(t))
    return {k: t.float() for k, t in named if not unused.search(k)}


def load_backbone(model, path):
    """Puts a pretrained backbone into `model.vision`; every tensor must be there, with the shape that the variant gives it."""
    given, variant = read_backbone(path), model.variant.name
    wanted = {k[len("vision."):]: t for k, t in model.tensors().items() if k.startswith("vision.")}
    missing, extra = sorted(wanted.keys() - given.keys()), sorted(given.keys() - wanted.keys())
    if missing or extra:
        problem, names = ("misses", missing) if missing else ("holds unexpected", extra)
        raise UserError(f"{path}: not a {variant} backbone under timm's or Microsoft's names: "
                        f"it {problem} {', '.join(names[:2])}{f' and {len(names) - 2} others' if len(names) > 2 else ''}")
    for name, tensor in wanted.items():
        if given[name].shape != tensor.shape:
            raise UserError(f"{path}: tensor '{name}' has shape {list(given[name].shape)}, and {variant} has {list(tensor.shape)}"
                            + (": the file is for another image size" if name.endswith("attention_biases") else ""))
        if not torch.isfinite(given[name]).all():
            raise UserError(f"{path}: tensor '{name}' holds values that are not finite")
        tensor.copy_(given[name])


def load_model(path, model):
    """Reads a model file back into a model of its variant."""
    tensors, metadata = read_safetensors(path)
    if not model.variant.metadata().items() <= metadata.items():
        raise UserError(f"{path}: its metadata is not that of variant {model.variant.name}")
    wanted = model.tensors()
    if tensors.keys() != wanted.keys():
        raise UserError(f"{path}: tensors missing or too many: {', '.join(sorted(tensors.keys() ^ wanted.keys())[:3])}")
    for name, tensor in wanted.items():
        if isinstance(tensors[name], Unreadable):
            raise UserError(f"{path}: tensor '{name}' {tensors[name].problem}")
        if tensors[name].shape != tensor.shape:
            raise UserError(f"{path}: tensor '{name}' has shape {list(tensors[name].shape)}, not {list(tensor.shape)}")
        tensor.copy_(tensors[name])
    return model
