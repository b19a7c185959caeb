"""LIBRARY THREADS K < lines of {"name", "model", "rows": [...]}: times in ms of each model at each number of rows, turn by turn, as one JSON line."""
import json, sys, time
import numpy as np, onnxruntime as ort

library, threads, k = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
jobs = [json.loads(l) for l in sys.stdin]
for j in jobs:
    o = ort.SessionOptions(); o.log_severity_level = 3; o.intra_op_num_threads = threads; o.register_custom_ops_library(library)
    # The waiting threads of one session would take the cores from the next.
    o.add_session_config_entry('session.intra_op.allow_spinning', '0')
    j['session'] = ort.InferenceSession(j['model'], o, providers=['CPUExecutionProvider'])
# One thread: its own processor time, which other processes disturb less than the clock.
clock = time.thread_time if threads == 1 else time.perf_counter
times = {}
for m in jobs[0]['rows']:
    x = np.random.default_rng(1).standard_normal((m, k)).astype(np.float32)
    t = {j['name']: [] for j in jobs}
    for i in range(41 if m == 1 else 8):
        for j in jobs:
            s = clock(); j['session'].run(None, {'x': x}); t[j['name']].append(clock() - s)
    times[m] = {n: [1e3 * x for x in v[1:]] for n, v in t.items()}
print(json.dumps(times))
