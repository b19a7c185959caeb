"""MODEL_DIR OUT SAMPLES LENGTH: random token sequences for a language model of make-llama.py, one .npz a sequence, as calibration data for measurements of time."""
import os, sys
import numpy as np, onnx

folder, out, samples, length = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
os.makedirs(out, exist_ok=True)
model = onnx.load(os.path.join(folder, 'model.onnx'), load_external_data=False)
vocabulary = next(t.dims[0] for t in model.graph.initializer if 'embed' in t.name)
for s in range(samples):
    feeds = {}
    for i in model.graph.input:
        dims = [d.dim_value or None for d in i.type.tensor_type.shape.dim]
        if i.name == 'input_ids': feeds[i.name] = np.random.default_rng(s).integers(0, vocabulary, (1, length))
        elif i.name == 'attention_mask': feeds[i.name] = np.ones((1, length), np.int64)
        elif i.name == 'position_ids': feeds[i.name] = np.arange(length)[None]
        else: feeds[i.name] = np.zeros([d or (1 if a == 0 else 0) for a, d in enumerate(dims)], np.float32)
    np.savez(os.path.join(out, f'{s:03}.npz'), **feeds)
