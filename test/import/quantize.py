"""Quantizes a model by onnxruntime.quantization: quantize.py MODEL KIND OUT. Exit 3: the package is missing."""
import sys, warnings, logging
warnings.filterwarnings("ignore"); logging.disable(logging.CRITICAL)
try:
    import onnx, numpy as np
    from onnxruntime import quantization as q
except ImportError as e:
    print(e); sys.exit(3)
model, kind, out, folder = sys.argv[1:5]

class Calibration(q.CalibrationDataReader):
    def __init__(self):
        import glob
        self.files = iter(sorted(glob.glob(folder + "/*.npz"))[:1])
    def get_next(self):
        f = next(self.files, None)
        return None if f is None else {k: v[:4] for k, v in np.load(f).items()}

static = dict(calibration_data_reader=Calibration(), calibrate_method=q.CalibrationMethod.MinMax)
if kind == "dynamic":
    q.quantize_dynamic(model, out, weight_type=q.QuantType.QInt8, per_channel=False)
elif kind == "dynamic-channel":
    q.quantize_dynamic(model, out, weight_type=q.QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul"])
elif kind == "qdq":
    q.quantize_static(model, out, quant_format=q.QuantFormat.QDQ, per_channel=True, activation_type=q.QuantType.QUInt8, weight_type=q.QuantType.QInt8, **static)
elif kind == "qoperator":
    q.quantize_static(model, out, quant_format=q.QuantFormat.QOperator, per_channel=False, activation_type=q.QuantType.QUInt8, weight_type=q.QuantType.QInt8, **static)
elif kind.startswith("nbits"):
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
    m = MatMulNBitsQuantizer(onnx.load(model), bits=4, block_size=32, is_symmetric=kind == "nbits-sym", quant_format=q.QuantFormat.QDQ if kind == "nbits-qdq" else q.QuantFormat.QOperator)
    m.process(); m.model.save_model_to_file(out)
