"""gptq.py MODEL OUT GROUP CALIB [actorder] [mse]: GPTQ of onnx-neural-compressor (the Python tool that solves ONNX weights), symmetric int4, MatMul only, damping 0.01, on the .npz files of CALIB."""
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx_neural_compressor import data_reader
from onnx_neural_compressor.quantization.matmul_nbits_quantizer import GPTQWeightOnlyQuantConfig, MatMulNBitsQuantizer

model, out, group, calib = sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])


class Files(data_reader.CalibrationDataReader):
    """One feed a file, in the order of their names."""

    def __init__(self):
        self.rewind()

    def get_next(self):
        return next(self.feeds, None)

    def rewind(self):
        self.feeds = (dict(np.load(f)) for f in sorted(calib.glob('*.npz')))


how = GPTQWeightOnlyQuantConfig(Files(), percdamp=0.01, actorder='actorder' in sys.argv[5:], mse='mse' in sys.argv[5:])
q = MatMulNBitsQuantizer(model, block_size=group, is_symmetric=True, algo_config=how)
q.process()
onnx.save_model(q.model, out, save_as_external_data=True, location='model.onnx.data')
