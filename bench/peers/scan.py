"""scan.py --tokens N --seconds S [--threads T] NAME=MODEL[:LIBRARY] …: times models turn by turn, inputs and outputs bound, one run each; prints a JSON line a model: milliseconds of
all runs, on one thread of CPU time (what else runs on the machine does not count), on several of wall time, and
MiB of anonymous memory that loading and three runs add (in a process of its own). Inputs that begin with past keep their sizes; zeros there, small noise elsewhere."""
import argparse, json, re, subprocess, sys, time
import numpy as np, onnxruntime as ort

a = argparse.ArgumentParser()
a.add_argument('models', nargs='+'); a.add_argument('--tokens', type=int, required=True); a.add_argument('--seconds', type=float, default=1); a.add_argument('--threads', type=int, default=1); a.add_argument('--memory', action='store_true'); a.add_argument('--speed-only', action='store_true')
a = a.parse_args()

def session(model):
    path, _, library = model.partition(':')
    o = ort.SessionOptions(); o.intra_op_num_threads = a.threads; o.log_severity_level = 3
    # The waiting threads of one session would take the cores from the next.
    o.add_session_config_entry('session.intra_op.allow_spinning', '0')
    if library: o.register_custom_ops_library(library)
    return ort.InferenceSession(path, o, providers=['CPUExecutionProvider'])

def feeds(s):
    r, f = np.random.default_rng(0), {}
    for i in s.get_inputs():
        past = i.name.startswith('past')
        shape = [d if isinstance(d, int) else 1 if k == 0 or past else a.tokens for k, d in enumerate(i.shape)]
        kind = i.type[7:-1]
        if kind == 'int64': f[i.name] = r.integers(0, 2000, shape)
        elif kind == 'int8': f[i.name] = np.zeros(shape, np.int8)
        else: f[i.name] = np.zeros(shape, np.float32) if past else (r.standard_normal(shape) * .3).astype(np.float32)
    return f

anonymous = lambda: int(re.search(r'RssAnon:\s+(\d+)', open('/proc/self/status').read())[1]) / 1024
names = [m.partition('=') for m in a.models]
if a.memory:
    probe = session(names[0][2]); f = feeds(probe); del probe
    before = anonymous(); s = session(names[0][2])
    for _ in range(3): s.run(None, f)
    print(anonymous() - before); sys.exit()
clock = time.process_time if a.threads == 1 else time.perf_counter
all_ = []
for name, _, model in names:
    s = session(model); f = feeds(s)
    b = s.io_binding()
    for k, v in f.items(): b.bind_cpu_input(k, v)
    held = [ort.OrtValue.ortvalue_from_numpy(v) for v in s.run(None, f)]
    for o, v in zip(s.get_outputs(), held): b.bind_ortvalue_output(o.name, v)
    for _ in range(3): s.run_with_iobinding(b)
    all_.append((name, s, b, [], (f, held)))
end = time.perf_counter() + a.seconds * len(all_)
while time.perf_counter() < end or len(all_[0][3]) < 5:
    for _, s, b, t, _ in all_:
        start = clock(); s.run_with_iobinding(b); t.append((clock() - start) * 1e3)
for (name, _, _, t, _), (_, _, model) in zip(all_, names):
    mib = None if a.speed_only else subprocess.run([sys.executable, __file__, '--memory', '--tokens', str(a.tokens), f'x={model}'], capture_output=True, text=True)
    print(json.dumps({'name': name, 'ms': t, 'mib': float(mib.stdout) if mib and mib.returncode == 0 else None}))
