"""Makes the int8 form of a graph that export.py wrote: every product by a constant matrix becomes DynamicQuantizeMatMul.

    python3 quantize.py FLOAT.onnx INT8.onnx

Weights are signed bytes with a scale a column; ONNX Runtime makes activations unsigned bytes with one scale a call, which is the only dynamic form
that it has a kernel for (TinyZsad's are a scale a token). A bias that follows becomes the operator's own.
"""
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

LEAST_ELEMENTS = 4096  # a smaller matrix is not worth quantising its activations


def quantized(weight):
    """Signed bytes and a scale a column."""
    scale = np.maximum(np.abs(weight).max(axis=0) / 127, 1e-12).astype(np.float32)
    return np.clip(np.rint(weight / scale), -127, 127).astype(np.int8), scale


def quantize(graph):
    constants = {i.name: i for i in graph.initializer}
    readers = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)

    nodes, gone = [], []
    for node in graph.node:
        weight = constants.get(node.input[1]) if node.op_type == "MatMul" else None
        matrix = numpy_helper.to_array(weight) if weight is not None else np.empty(0)
        if matrix.ndim != 2 or matrix.size < LEAST_ELEMENTS:
            nodes.append(node)
            continue
        q, scale = quantized(matrix)
        names = [f"{node.output[0]}.{part}" for part in ("weight", "scale", "zero")]
        graph.initializer.extend(numpy_helper.from_array(a, n) for a, n in zip((q, scale, np.zeros_like(scale, np.int8)), names))
        inputs, output = [node.input[0], *names], node.output[0]
        add = readers.get(output, [])
        if len(add) == 1 and add[0].op_type == "Add":
            bias = constants.get(next(i for i in add[0].input if i != output))
            if bias is not None and list(bias.dims) == [matrix.shape[1]]:
                inputs.append(bias.name)
                output = add[0].output[0]
                gone.append(add[0])
        nodes.append(helper.make_node("DynamicQuantizeMatMul", inputs, [output], domain="com.microsoft"))

    nodes = [n for n in nodes if n not in gone]
    used = {name for node in nodes for name in node.input}
    kept = [i for i in graph.initializer if i.name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)


def main():
    source, target = sys.argv[1:]
    model = onnx.load(source)
    quantize(model.graph)
    if not any(o.domain == "com.microsoft" for o in model.opset_import):
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, target)


if __name__ == "__main__":
    main()
