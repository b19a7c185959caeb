"""LIBRARY < lines of {"model", "shape", "seed", "library"}: runs each model on float32 noise, twice (without and with the library), prints one JSON line each.
y: relative L2 between the two. error: what ONNX Runtime said with the library. optional "isa" sets QC_ISA."""
import json, os, sys
import numpy as np, onnxruntime as ort

def run(model, x, library=None):
    o = ort.SessionOptions(); o.log_severity_level = 4; o.intra_op_num_threads = 2
    if library: o.register_custom_ops_library(library)
    return ort.InferenceSession(model, o, providers=['CPUExecutionProvider']).run(None, {'x': x})[0].astype(np.float64)

for line in sys.stdin:
    job = json.loads(line); os.environ['QC_ISA'] = job.get('isa', '')
    x = np.random.default_rng(job['seed']).standard_normal(job['shape']).astype(np.float32) * job.get('scale', 1)
    try:
        y = run(job['model'], x, sys.argv[1])
    except Exception as e:
        print(json.dumps({'error': str(e)})); continue
    r = run(job['model'], x)
    print(json.dumps({'relative': float(np.sqrt(((r - y) ** 2).sum() / max((r ** 2).sum(), 1e-30))), 'shape': list(y.shape)}))
