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
from edgezsad.weights import Unreadable, read_safetensors


MODULES = ("module", "_orig_mod")                                             # DistributedDataParallel; torch.compile


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
    if torch.is_tensor(value) or isinstance(value, Unreadable):
        tensors[name] = value.detach()
    elif isinstance(value, dict):
        for key, item in value.items():
            if type(key) is str or is_long(key):
                flatten(item, f"{name}.{key}" if name else str(key), tensors, values)
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            flatten(item, f"{name}.{i}" if name else str(i), tensors, values)
    elif isinstance(value, (bool, float, str)) or is_long(value):
        values[name] = value


def is_long(value):
    """Whether a value is a whole number of 64 bits; others are neither keys nor values of a table."""
    return type(value) is int and -2**63 <= value < 2**63


def plain(tensors):
    """Tensors by their names without the parts that DistributedDataParallel and torch.compile add, wherever these stand."""
    out = {}
    for name, tensor in tensors.items():
        out.setdefault(".".join(part for part in name.split(".") if part not in MODULES), tensor)
    return {**out, **{name: tensors[name] for name in out if name in tensors}}


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


class Inert(type):
    def __setitem__(cls, key, value):
        pass


class Unknown(metaclass=Inert):
    """What any other global is, and all that is made of it: nothing is imported, called or kept."""

    def __new__(cls, *_, **__):
        return cls

    __setstate__ = append = extend = add = staticmethod(lambda *_: None)


class TensorUnpickler(pickle.Unpickler):
    """Knows the few globals that rebuild tensors: nothing that a checkpoint names is imported or called.

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
        known = {("collections", "OrderedDict"): collections.OrderedDict, ("collections", "defaultdict"): rebuild_defaultdict,
                 ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor, ("torch._utils", "_rebuild_parameter"): rebuild_parameter,
                 ("torch._utils", "_rebuild_parameter_with_state"): rebuild_parameter,
                 ("torch._tensor", "_rebuild_from_type_v2"): rebuild_from_type}
        if (module, name) in known:
            return known[module, name]
        return rebuild_other if module.startswith("torch.") and "_rebuild_" in name else Unknown

    def persistent_load(self, identity):
        _, kind, key, _, count = identity
        if kind is Unknown:
            return kind
        if key not in self.storages:
            content = bytearray(self.archive.read(f"{self.root}/data/{key}"))
            self.storages[key] = torch.frombuffer(content, dtype=kind) if content else torch.empty(0, dtype=kind)
        if self.storages[key].numel() != count:
            raise pickle.UnpicklingError(f"storage '{key}' has {self.storages[key].numel()} elements, where {count} are said")
        return self.storages[key]


def rebuild_tensor(storage, offset, size, stride, *_):
    return rebuild_other() if storage is Unknown else storage.as_strided(size, stride, offset)


def rebuild_parameter(tensor, *_):
    return tensor


def rebuild_from_type(function, _, arguments, *__):
    return function(*arguments) if function is rebuild_tensor else rebuild_other()


def rebuild_defaultdict(*_):
    return {}


def rebuild_other(*_):
    """A quantized, sparse or complex tensor, or one of a newer type."""
    return Unreadable("is of a type or layout that is not read")


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
        head = file.read(512)
    safetensors = head[4:8] == bytes(4) and head[8:].lstrip(b" \t\r\n")[:1] == b"{"    # a header's length below 2^32, and the header
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
    return Checkpoint(path, plain(tensors), values, [digest(file) for file in files])
