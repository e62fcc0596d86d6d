"""Checkpoint files: safetensors (single, or in shards by their index), PyTorch's archives, TorchScript's."""
import collections
import dataclasses
import hashlib
import json
import pathlib
import pickle
import zipfile

import torch

from edgezsad.errors import UserError
from edgezsad.weights import read_safetensors


@dataclasses.dataclass
class Checkpoint:
    """Tensors and other values by their names, with dots between the keys of nested dicts and the numbers of lists."""

    path: pathlib.Path
    tensors: dict
    values: dict
    files: list                             # (name, SHA-256) of each file that belongs to it

    def source(self):
        """The files as a model's metadata names them."""
        return ", ".join(f"{name} sha256:{digest}" for name, digest in self.files)

    def integers(self, name):
        """The whole numbers of a list, or None."""
        found = []
        while type(self.values.get(f"{name}.{len(found)}")) is int:
            found.append(self.values[f"{name}.{len(found)}"])
        return found or None


def digest(path):
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return path.name, found.hexdigest()


def flatten(value, name, tensors, values):
    """Nested values as one table of names."""
    if torch.is_tensor(value):
        tensors[name] = value.detach()
    elif isinstance(value, dict):
        for key, item in value.items():
            flatten(item, f"{name}.{key}" if name else str(key), tensors, values)
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            flatten(item, f"{name}.{i}" if name else str(i), tensors, values)
    elif isinstance(value, (bool, int, float, str)):
        values[name] = value


def read_shards(path):
    """Tensors of all files that an index of shards names, and these files."""
    try:
        places = json.loads(path.read_bytes())["weight_map"]
        names = sorted(set(places.values()))
        if any(name != pathlib.PurePath(name).name or "\\" in name for name in names):
            raise ValueError("a file's name alone is right, of a file in the index's own folder")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not an index of shards: {error}") from None
    shards = {name: read_safetensors(path.with_name(name))[0] for name in names}
    missing = [tensor for tensor, name in places.items() if tensor not in shards[name]]
    if missing:
        raise UserError(f"{path}: tensor '{missing[0]}' is not where the index says")
    return {tensor: shards[name][tensor] for tensor, name in places.items()}, [path, *(path.with_name(name) for name in names)]


class TensorUnpickler(pickle.Unpickler):
    """Knows the few globals that rebuild tensors and no other: nothing that a checkpoint names is imported or called.

    torch.load(weights_only=True) would do, but that of PyTorch 1.13 knows no floats, which stand in many checkpoints.
    """

    STORAGES = {"DoubleStorage": torch.float64, "FloatStorage": torch.float32, "HalfStorage": torch.float16,
                "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
                "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool}

    def __init__(self, archive, root):
        super().__init__(archive.open(f"{root}/data.pkl"))
        self.archive, self.root, self.storages = archive, root, {}

    def find_class(self, module, name):
        if module == "torch" and name in self.STORAGES:
            return self.STORAGES[name]
        known = {("collections", "OrderedDict"): collections.OrderedDict, ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
                 ("torch._utils", "_rebuild_parameter"): rebuild_parameter}
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it asks for '{module}.{name}', which is none of the few globals that rebuild tensors")
        return known[module, name]

    def persistent_load(self, identity):
        _, kind, key, _, count = identity
        if key not in self.storages:
            content = bytearray(self.archive.read(f"{self.root}/data/{key}"))
            self.storages[key] = torch.frombuffer(content, dtype=kind) if content else torch.empty(0, dtype=kind)
        if self.storages[key].numel() != count:
            raise pickle.UnpicklingError(f"storage '{key}' has {self.storages[key].numel()} elements, where {count} are said")
        return self.storages[key]


def rebuild_tensor(storage, offset, size, stride, *_):
    return storage.as_strided(size, stride, offset)


def rebuild_parameter(tensor, *_):
    return tensor


def read_torch(path):
    """What a PyTorch archive holds: tensors, and dicts, lists, numbers and texts around them; nothing is executed."""
    try:
        with zipfile.ZipFile(path) as archive:
            root = archive.namelist()[0].split("/")[0]
            if f"{root}/constants.pkl" in archive.namelist():                 # TorchScript: loaded, its code never called
                return torch.jit.load(str(path), map_location="cpu").state_dict()
            return TensorUnpickler(archive, root).load()
    except (RuntimeError, pickle.UnpicklingError, zipfile.BadZipFile, EOFError, ValueError, KeyError, IndexError,
            TypeError) as error:
        raise UserError(f"{path}: not a PyTorch checkpoint of tensors alone: {str(error).splitlines()[0]}") from None


def read_checkpoint(path):
    """Reads a checkpoint; what kind it is, its content says."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise UserError(f"checkpoint {path} does not exist")
    with open(path, "rb") as file:
        head = file.read(9)
    safetensors = head[4:] == b"\0\0\0\0{"                                 # a header's length below 2^32, and its first character
    tensors, values, files = {}, {}, [path]
    if head[:1] == b"{" and not safetensors:
        tensors, files = read_shards(path)
    elif head[:2] == b"PK" and not safetensors:
        flatten(read_torch(path), "", tensors, values)
    elif head[:1] == b"\x80" and not safetensors:
        raise UserError(f"{path}: this is PyTorch's legacy format, from before 1.6; save it anew: "
                        "torch.save(torch.load(FILE), NEW)")
    else:
        tensors, metadata = read_safetensors(path)
        values = {f"__metadata__.{key}": value for key, value in metadata.items()}
    return Checkpoint(path, tensors, values, [digest(file) for file in files])
