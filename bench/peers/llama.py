"""NAME=MODEL[:LIBRARY] … [--threads N] [--rounds N] [--prompt N] [--steps N]: load time, prefill and decode speed, unshared memory of language models with a cache,
each in a process of its own, the processes turn by turn. One JSON line a model: {"name", "load_s", "prefill", "decode", "unique_mib"}; speeds are lists of tokens a second."""
import json, subprocess, sys, time


def serve(model, library, threads, prompt, steps):
    import numpy as np, onnxruntime as ort
    o = ort.SessionOptions(); o.intra_op_num_threads = threads; o.log_severity_level = 3
    # Shapes change at every step: a plan by shapes only holds activations twice.
    o.enable_mem_pattern = False
    if library: o.register_custom_ops_library(library)
    began = time.perf_counter()
    s = ort.InferenceSession(model, o, providers=['CPUExecutionProvider'])
    print(json.dumps({'load_s': time.perf_counter() - began}), flush=True)
    value = ort.OrtValue.ortvalue_from_numpy
    caches = [i for i in s.get_inputs() if i.name.startswith('past')]
    outputs = [o.name for o in s.get_outputs()]
    vocabulary = s.get_outputs()[0].shape[-1]

    def step(ids, past, cache):
        n = len(ids)
        f = {'input_ids': value(np.asarray([ids], np.int64)), 'attention_mask': value(np.ones((1, past + n), np.int64)), 'position_ids': value(np.arange(past, past + n, dtype=np.int64)[None])}
        f.update(cache)
        out = dict(zip(outputs, s.run_with_ort_values(outputs, f)))
        return {c.name: out[c.name.replace('past_key_values', 'present')] for c in caches}

    kinds = {'tensor(float)': np.float32, 'tensor(float16)': np.float16, 'tensor(uint8)': np.uint8, 'tensor(int8)': np.int8}
    empty = {c.name: value(np.zeros([1 if i == 0 else d if isinstance(d, int) else 0 for i, d in enumerate(c.shape)], kinds[c.type])) for c in caches}
    ids = np.random.default_rng(0).integers(0, vocabulary, prompt).tolist()
    for line in sys.stdin:
        t = time.perf_counter(); cache = step(ids, 0, empty); prefill = prompt / (time.perf_counter() - t)
        t = time.perf_counter()
        for i in range(steps): cache = step([ids[i]], prompt + i, cache)
        decode = steps / (time.perf_counter() - t)
        del cache
        kib = {}
        for l in open('/proc/self/smaps_rollup'):
            p = l.split()
            if p[0].startswith(('Private', 'Anonymous')): kib[p[0]] = int(p[1])
        # Pages of the mapped file are shared with every process that maps it, and dropped under pressure (dirty where it has just been written).
        print(json.dumps({'prefill': prefill, 'decode': decode, 'unique_mib': kib['Anonymous:'] / 1024}), flush=True)


def main(args):
    options = {'threads': 2, 'rounds': 3, 'prompt': 256, 'steps': 32}
    models = []
    while args:
        a = args.pop(0)
        if a.startswith('--'): options[a[2:]] = int(args.pop(0))
        else:
            name, rest = a.split('=', 1); models.append((name, *(rest.split(':', 1) + [''])[:2]))
    running = []
    for name, model, library in models:
        p = subprocess.Popen([sys.executable, __file__, '--serve', model, library, *(str(options[k]) for k in ('threads', 'prompt', 'steps'))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append((p, {'name': name, **json.loads(p.stdout.readline()), 'prefill': [], 'decode': []}))
    for _ in range(options['rounds'] + 1):
        for p, r in running:
            p.stdin.write('\n'); p.stdin.flush(); one = json.loads(p.stdout.readline())
            r['prefill'].append(one['prefill']); r['decode'].append(one['decode']); r['unique_mib'] = one['unique_mib']
    for p, r in running:
        p.stdin.close(); p.wait()
        # The first round warms up.
        print(json.dumps({**r, 'prefill': r['prefill'][1:], 'decode': r['decode'][1:]}))


if sys.argv[1] == '--serve': serve(sys.argv[2], sys.argv[3], *map(int, sys.argv[4:7]))
else: main(sys.argv[1:])
