"""same_nbits.py OURS THEIRS: are codes and scales of the MatMulNBits nodes that share an output the same? Prints one JSON line."""
import json
import os
import sys

import numpy as np
import onnx
from onnx import numpy_helper


class File:
    def __init__(self, path):
        self.model = onnx.load(path, load_external_data=False)
        self.folder = os.path.dirname(path)
        self.tensors = {t.name: t for t in self.model.graph.initializer}
        self.nodes = {n.output[0]: n for n in self.model.graph.node if n.op_type == "MatMulNBits"}

    def array(self, name):
        t = onnx.TensorProto()
        t.CopyFrom(self.tensors[name])
        if t.data_location == onnx.TensorProto.EXTERNAL:
            onnx.external_data_helper.load_external_data_for_tensor(t, self.folder)
        return numpy_helper.to_array(t).reshape(-1)


a, b = File(sys.argv[1]), File(sys.argv[2])
shared = sorted(set(a.nodes) & set(b.nodes))
codes = scales = total = differing = 0
for out in shared:
    x, y = a.nodes[out], b.nodes[out]
    ca, cb = a.array(x.input[1]), b.array(y.input[1])
    total += ca.size
    same = ca.size == cb.size and bool((ca == cb).all())
    codes += same
    differing += 0 if same else int((ca != cb).sum()) if ca.size == cb.size else ca.size
    scales += bool(np.array_equal(a.array(x.input[2]), b.array(y.input[2])))
print(json.dumps({"ours": len(a.nodes), "theirs": len(b.nodes), "shared": len(shared), "same_codes": codes, "same_scales": scales, "bytes": total, "differing_bytes": differing}))
